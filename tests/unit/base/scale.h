/*
 * How much shorter long tests are where everything takes many times as long: under a sanitizer. Only for loops whose
 * number is not the point.
 */
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SCALE_DOWN 5
#endif
#endif
#ifndef SCALE_DOWN
#define SCALE_DOWN 1
#endif
