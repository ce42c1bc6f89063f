/* Convolutions of counts of spikes by table lookup.

   What arrives at a convolution are counts of spikes, one to four bits each. So the channels of a position are a few
   bytes, and what a byte adds to the outputs is one of 256 sums of weights, made once for each candidate: eight channels
   cost one addition. Where such tables would leave the cache, they have 16 entries instead, for half a byte. Sums may be
   made in any order because the weights are on grids on which no sum rounds (snnbench/snn/grid.py); so the results are,
   to the bit, those of a convolution.

   Layouts: codes (N, H, W, G), each byte 8 / bits channels; weights (taps, channels, outputs), tables alike. */

#include "layers.h"

#include <stdlib.h>
#include <string.h>

/* Where in the codes of an image to look, and in which table: for every place the taps of the kernel that lie within the
   image, group by group. */
typedef struct {
    int32_t code, table;
} Look;

typedef struct {
    Look *looks;
    int32_t *ends; /* of every place's looks */
} Fields;

struct Tables {
    Fields field;
    float *table;
    int places, outputs, width; /* bits of a code: 8 or 4 */
};

static Fields fields(const Shape *s, const int entries) {
    const int groups = groups_of(s->channels, s->bits), places = s->rows * s->columns;
    Fields all = {malloc((size_t)places * s->kernel * s->kernel * groups * sizeof(Look)), malloc(places * sizeof(int32_t))};
    if (!all.looks || !all.ends) return all;
    Look *look = all.looks;
    for (int row = 0; row < s->rows; row++)
        for (int column = 0; column < s->columns; column++) {
            for (int i = 0; i < s->kernel; i++)
                for (int j = 0; j < s->kernel; j++) {
                    const int h = row * s->stride + i - s->padding, w = column * s->stride + j - s->padding;
                    if (h < 0 || h >= s->height || w < 0 || w >= s->width) continue;
                    for (int g = 0; g < groups; g++, look++) {
                        look->code = (h * s->width + w) * groups + g;
                        look->table = ((i * s->kernel + j) * groups + g) * entries;
                    }
                }
            all.ends[row * s->columns + column] = (int32_t)(look - all.looks);
        }
    return all;
}

/* For every tap and group of channels, what each code adds: (taps, groups, 2^width, outputs). */
static float *table_of(const Shape *s, const float *weight, const int width) {
    const int taps = s->kernel * s->kernel, codes = 1 << width, outputs = s->outputs, bits = s->bits;
    const int groups = groups_of(s->channels, bits) * (8 / width);
    float *all = malloc((size_t)taps * groups * codes * outputs * sizeof(float)), *table = all;
    if (!all) return 0;
    for (int tap = 0; tap < taps; tap++)
        for (int g = 0; g < groups; g++, table += (size_t)codes * outputs) {
            memset(table, 0, outputs * sizeof(float));
            for (int code = 1; code < codes; code++) {
                const int low = __builtin_ctz(code), channel = (g * width + low) / bits;
                const float times = (float)(1 << low % bits);
                const float *rest = table + (size_t)(code & (code - 1)) * outputs;
                float *to = table + (size_t)code * outputs;
                const float *row = weight + ((size_t)tap * s->channels + channel) * outputs;
                for (int o = 0; o < outputs; o++) to[o] = rest[o] + times * row[o];
            }
        }
    return all;
}

#define EACH(n, i) _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)

/* 8 * `eights` sums at one output position of `images` images, in registers.

   Several images at once, for places are found once for all of them, and no addition waits for the one before. */
INLINE void sum_up(const Look *look, const Look *end, const uint8_t *x, const size_t in, const float *table,
                   const int width, const float *bias, float *to, const size_t size, const int outputs,
                   const int images, const int eights) {
    Eight sums[4][2];
    EACH(images, i) EACH(eights, o) sums[i][o] = bias ? *(const Eight *)(bias + 8 * o) : (Eight){0};
    for (; look < end; look++) {
        const uint8_t *codes = x + look->code;
        const float *rows = table + (size_t)look->table * outputs;
        EACH(images, i) {
            const unsigned code = codes[i * in];
            if (width == 8) {
                const float *row = rows + code * (size_t)outputs;
                EACH(eights, o) sums[i][o] += *(const Eight *)(row + 8 * o);
            } else {
                const float *low = rows + (code & 15) * (size_t)outputs;
                const float *high = rows + (16 + (code >> 4)) * (size_t)outputs;
                EACH(eights, o) sums[i][o] += *(const Eight *)(low + 8 * o) + *(const Eight *)(high + 8 * o);
            }
        }
    }
    EACH(images, i) EACH(eights, o) *(Eight *)(to + i * size + 8 * o) = sums[i][o];
}

/* All sums of one to four images. */
INLINE void sums_of(const Tables *t, const int width, const uint8_t *x, const size_t in, const float *bias, float *to,
                    const int outputs, const int images) {
    const Look *look = t->field.looks;
    const size_t size = (size_t)t->places * outputs;
    for (int p = 0; p < t->places; p++, to += outputs) {
        const Look *end = t->field.looks + t->field.ends[p];
        int o = 0;
        for (; o + 16 <= outputs; o += 16)
            sum_up(look, end, x, in, t->table + o, width, bias ? bias + o : 0, to + o, size, outputs, images, 2);
        if (o < outputs)
            sum_up(look, end, x, in, t->table + o, width, bias ? bias + o : 0, to + o, size, outputs, images, 1);
        look = end;
    }
}

INLINE void sums_of_all(const Tables *t, const int width, const Images from, const float *bias, float *to,
                        const int outputs) {
    const size_t size = (size_t)t->places * outputs;
    for (int k = 0; k < from.outer; k++) {
        const uint8_t *x = from.codes + k * from.far;
        int i = 0;
        for (; i + 4 <= from.inner; i += 4, to += 4 * size)
            sums_of(t, width, x + i * from.near, from.near, bias, to, outputs, 4);
        for (; i < from.inner; i++, to += size) sums_of(t, width, x + i * from.near, from.near, bias, to, outputs, 1);
    }
}

void sums_by_tables(const Tables *t, const Images images, const float *bias, float *to) {
#define ALL(width)                                                                                                     \
    switch (t->outputs) { /* as constants they are multiplied with faster */                                           \
    case 8: sums_of_all(t, width, images, bias, to, 8); break;                                                         \
    case 16: sums_of_all(t, width, images, bias, to, 16); break;                                                       \
    case 32: sums_of_all(t, width, images, bias, to, 32); break;                                                       \
    default: sums_of_all(t, width, images, bias, to, t->outputs);                                                      \
    }
    if (t->width == 8) {
        ALL(8)
    } else {
        ALL(4)
    }
}

void free_tables(Tables *t) {
    if (t) free(t->field.looks), free(t->field.ends), free(t->table);
    free(t);
}

Tables *tables_of(const Shape *s, const float *weight, const int width) {
    Tables *t = malloc(sizeof(Tables));
    if (!t) return 0;
    *t = (Tables){fields(s, (8 / width) << width), table_of(s, weight, width), s->rows * s->columns, s->outputs, width};
    if (t->field.looks && t->field.ends && t->table) return t;
    free_tables(t);
    return 0;
}
