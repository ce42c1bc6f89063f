/* Weights on grids, and batch normalisation: see snnbench/snn/grid.py and ConvNorm in snnbench/snn/layers.py. */

#include "layers.h"

#include <stdlib.h>

EXPORT void on_grid(const Inputs *s, const float *weight, const float *scale, const float *bias, float *by_tap,
             float *channels_last, float *bias_out, float *units) {
    const int size = s->channels * s->taps;
    for (int o = 0; o < s->outputs; o++, weight += size) {
        const float times = scale ? scale[o] : 1.0f, offset = bias ? bias[o] : 0.0f;
        double magnitude = 0.0, sum = 0.0;
        for (int k = 0; k < size; k++) {
            const double w = weight[k] * times;
            magnitude += __builtin_fabs(w);
            sum += w;
        }
        double reach = s->is_signed ? magnitude : (magnitude + __builtin_fabs(sum)) / 2;
        reach = reach * s->largest + __builtin_fabs((double)offset);
        if (!__builtin_isfinite(reach)) reach = 1.0;
        reach = reach < 0x1p-60 ? 0x1p-60 : reach > 0x1p60 ? 0x1p60 : reach;
        int exponent;
        (void)__builtin_frexp(reach, &exponent);
        const float unit = (float)__builtin_ldexp(1.0, exponent - 23 + s->spare), grid = unit / s->step;
        if (units) units[o] = unit;
        if (bias_out) bias_out[o] = __builtin_rintf(offset / unit) * unit;
        for (int c = 0, k = 0; c < s->channels; c++)
            for (int tap = 0; tap < s->taps; tap++, k++) {
                const float moved = __builtin_rintf(weight[k] * times / grid) * grid;
                by_tap[((size_t)tap * s->channels + c) * s->outputs + o] = moved;
                if (channels_last) channels_last[((size_t)o * s->taps + tap) * s->channels + c] = moved;
            }
    }
}

/* Normalise values of `rows` x `channels` in place by their own statistics; 0, or 1 if there is no memory.

   Sums of squares in units are made in two parts, blocks of 32 rows: see `moments` in snnbench/snn/grid.py. */
int normalise(float *x, int64_t rows, int32_t channels, const Norm *n) {
    double *inverse = calloc(5 * (size_t)channels, sizeof(double));
    if (!inverse) return 1;
    double *sum = inverse + channels, *high = sum + channels, *low = high + channels, *block = low + channels;
    for (int c = 0; c < channels; c++) inverse[c] = 1.0 / n->units[c];
    const float *row = x;
    for (int64_t r = 0; r < rows; r++, row += channels) {
        for (int c = 0; c < channels; c++) {
            const double u = row[c] * inverse[c];
            sum[c] += u;
            block[c] += u * u;
        }
        if (r % 32 == 31 || r + 1 == rows)
            for (int c = 0; c < channels; c++) {
                const double part = __builtin_floor(block[c] * 0x1p-26);
                high[c] += part;
                low[c] += block[c] - part * 0x1p26;
                block[c] = 0.0;
            }
    }
    for (int c = 0; c < channels; c++) {
        const double unit = n->units[c], total = sum[c] / (double)rows;
        const double rest = (high[c] * 0x1p26 + low[c]) / (double)rows - total * total;
        n->mean[c] = (float)(total * unit);
        n->variance[c] = (float)((rest < 0.0 ? 0.0 : rest) * (unit * unit));
        const double factor = n->gain[c] / __builtin_sqrt(n->variance[c] + n->epsilon);
        n->scale[c] = (float)factor;
        n->shift[c] = (float)(n->offset[c] - n->mean[c] * factor);
    }
    const float *scale = n->scale, *shift = n->shift;
    for (int64_t r = 0; r < rows; r++, x += channels)
        for (int c = 0; c < channels; c++) x[c] = x[c] * scale[c] + shift[c];
    free(inverse);
    return 0;
}
