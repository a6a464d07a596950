/* What the server says of itself where clients ask which Redis they talk to: the level of commands it is compatible
 * with. */
#pragma once

#define LARDER_REDIS_VERSION "7.4.0"
