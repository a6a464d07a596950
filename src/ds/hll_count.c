/*
 * HyperLogLog: the estimate.
 *
 * Only how many registers have which value matters. Ertl's estimator needs neither tables of corrections nor cases for
 * small counts: sigma accounts for the registers that are 0, tau for those that are as high as they can be.
 */
#include <math.h>

#include "ds/hll.h"

struct histogram {
    uint32_t registers[64]; /* by value */
};

static double sigma(double x)
{
    if (x == 1.0)
        return INFINITY;
    double weight = 1, sum = x, last;
    do {
        x *= x;
        last = sum;
        sum += x * weight;
        weight += weight;
    } while (last != sum);
    return sum;
}

static double tau(double x)
{
    if (x == 0.0 || x == 1.0)
        return 0.0;
    double weight = 1, sum = 1 - x, last;
    do {
        x = sqrt(x);
        last = sum;
        weight *= 0.5;
        sum -= (1 - x) * (1 - x) * weight;
    } while (last != sum);
    return sum / 3;
}

static uint64_t estimate(const struct histogram *histogram)
{
    const double alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    const double m = HLL_REGISTERS;
    double z = m * tau((m - histogram->registers[HLL_REGISTER_MAX]) / m);
    for (int value = HLL_REGISTER_MAX - 1; value >= 1; value--)
        z = (z + histogram->registers[value]) * 0.5;
    z += m * sigma(histogram->registers[0] / m);
    return (uint64_t)llroundl(alpha * m * m / z);
}

uint64_t hll_count_registers(const uint8_t *registers)
{
    /* Two, since counting the same value twice in a row would wait for the first. */
    struct histogram even = { 0 }, odd = { 0 };
    for (uint32_t i = 0; i < HLL_REGISTERS; i += 2) {
        even.registers[registers[i] & 63]++;
        odd.registers[registers[i + 1] & 63]++;
    }
    for (int value = 0; value < 64; value++)
        even.registers[value] += odd.registers[value];
    return estimate(&even);
}

bool hll_count(struct bytes hll, uint64_t *count)
{
    if (hll_is_dense(hll)) {
        uint8_t registers[HLL_REGISTERS] = { 0 };
        hll_merge_into(registers, hll);
        *count = hll_count_registers(registers);
        return true;
    }
    struct histogram histogram = { 0 };
    size_t at = HLL_HEADER;
    uint32_t index = 0;
    for (struct hll_run run; hll_read_run(hll, at, &run); at += run.size) {
        if (run.len > HLL_REGISTERS - index)
            return false;
        histogram.registers[run.value] += run.len;
        index += run.len;
    }
    if (index != HLL_REGISTERS || at != hll.len)
        return false;
    *count = estimate(&histogram);
    return true;
}
