/* Layers of a spiking network by table lookup.

   What arrives at a convolution are counts of spikes, one to four bits each. So the channels of a position are a few
   bytes, and what a byte adds to the outputs is one of 256 sums of weights, made once for each candidate: eight channels
   cost one addition. Sums may be made in any order because the weights are on grids on which no sum rounds
   (snnbench/snn/grid.py); so the results are, to the bit, those of a convolution.

   Layouts: counts (T, N, H, W, C), a byte each; codes (T, N, H, W, G), each byte 8 / bits channels; weights and tables
   with the outputs last. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int32_t steps, samples;          /* T, N */
    int32_t height, width, channels; /* of the input */
    int32_t bits;                    /* of a count of the input: 1, 2 or 4 */
    int32_t kernel, stride, padding;
    int32_t rows, columns, outputs; /* of the output */
    int32_t bits_out;               /* of a count of the output: 1, 2 or 4; 0 if no codes are needed */
} Shape;

typedef struct {
    float decay, threshold;
    int32_t reset;        /* 0: to zero, 1: by subtraction, 2: none */
    int32_t at_threshold; /* whether H = threshold fires */
} Neuron;

typedef struct {
    int64_t *steps;  /* (T) spikes of every step */
    int32_t *map;    /* (H, W, C) spikes of every neuron */
    int32_t *ones;   /* (H, W, C) how often a sum of spikes was 1, or NULL */
    int32_t *others; /* ... and how often it was more */
} Counts;

typedef struct {
    const uint8_t *add; /* (T, N, H, W, C) counts to add to the spikes, or NULL */
    uint8_t *counts;    /* (T, N, H, W, C) */
    uint8_t *codes;     /* (T, N, H, W, G), or NULL */
} Output;

#define INLINE static inline __attribute__((always_inline))
#define MOST_TAPS 49
#define LARGEST (1 << 17) /* bytes of tables with 256 entries; larger ones leave the cache, and have 16 instead */

/* The taps of the kernel that lie within the image, as places in the tables, and what they see, as places in the codes. */
typedef struct {
    int32_t count, codes[MOST_TAPS];
    size_t table[MOST_TAPS];
} Field;

static Field *fields(const Shape *s, const int groups, const size_t tap) {
    Field *all = malloc((size_t)s->rows * s->columns * sizeof(Field)), *f = all;
    if (!all) return 0;
    for (int row = 0; row < s->rows; row++)
        for (int column = 0; column < s->columns; column++, f++) {
            f->count = 0;
            for (int i = 0; i < s->kernel; i++)
                for (int j = 0; j < s->kernel; j++) {
                    const int h = row * s->stride + i - s->padding, w = column * s->stride + j - s->padding;
                    if (h < 0 || h >= s->height || w < 0 || w >= s->width) continue;
                    f->table[f->count] = (i * s->kernel + j) * tap;
                    f->codes[f->count++] = (h * s->width + w) * groups;
                }
        }
    return all;
}

static int groups_of(int channels, int bits) { return (channels * bits + 7) / 8; }

/* For every tap and group of channels, what each code adds: (taps, groups, 2^width, outputs); width is 8 or 4 bits. */
static float *tables(const Shape *s, const float *weight, int width) {
    const int taps = s->kernel * s->kernel, codes = 1 << width, outputs = s->outputs, bits = s->bits;
    const int groups = groups_of(s->channels, bits) * (8 / width), each = width / bits;
    float *all = malloc((size_t)taps * groups * codes * outputs * sizeof(float)), *table = all;
    if (!all) return 0;
    for (int tap = 0; tap < taps; tap++)
        for (int g = 0; g < groups; g++, table += (size_t)codes * outputs) {
            memset(table, 0, outputs * sizeof(float));
            for (int code = 1; code < codes; code++) {
                const int low = __builtin_ctz(code), channel = g * each + low / bits;
                const float times = (float)(1 << low % bits);
                const float *rest = table + (size_t)(code & (code - 1)) * outputs;
                float *to = table + (size_t)code * outputs;
                if (channel >= s->channels)
                    memcpy(to, rest, outputs * sizeof(float));
                else {
                    const float *row = weight + ((size_t)tap * s->channels + channel) * outputs;
                    for (int o = 0; o < outputs; o++) to[o] = rest[o] + times * row[o];
                }
            }
        }
    return all;
}

typedef float Eight __attribute__((vector_size(32), aligned(4)));

#define EACH(n, i) _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)

/* 8 * `eights` sums at one output position of `images` images, in registers.

   Several images at once, for places are found once for all of them, and no addition waits for the one before. */
INLINE void sum_up(const Field *f, const uint8_t *x, const size_t in, const int groups, const float *table,
                   const int width, const float *bias, float *to, const size_t size, const int outputs, const int images,
                   const int eights) {
    Eight sums[4][2];
    const size_t entry = (size_t)outputs << width, byte = entry * (8 / width);
    EACH(images, i) EACH(eights, o) sums[i][o] = bias ? *(const Eight *)(bias + 8 * o) : (Eight){0};
    for (int k = 0; k < f->count; k++) {
        const uint8_t *codes = x + f->codes[k];
        const float *rows = table + f->table[k];
        for (int g = 0; g < groups; g++, codes++, rows += byte) {
            if (width == 8) {
                EACH(images, i) {
                    const float *row = rows + codes[i * in] * (size_t)outputs;
                    EACH(eights, o) sums[i][o] += *(const Eight *)(row + 8 * o);
                }
            } else {
                EACH(images, i) {
                    const unsigned code = codes[i * in];
                    const float *low = rows + (code & 15) * (size_t)outputs;
                    const float *high = rows + entry + (code >> 4) * (size_t)outputs;
                    EACH(eights, o) sums[i][o] += *(const Eight *)(low + 8 * o) + *(const Eight *)(high + 8 * o);
                }
            }
        }
    }
    EACH(images, i) EACH(eights, o) *(Eight *)(to + i * size + 8 * o) = sums[i][o];
}

/* All sums of one to four images into `to`, `size` apart; there are a multiple of 8 outputs. */
INLINE void sums_of(const Field *field, const int places, const uint8_t *x, const size_t in, const int groups,
                    const float *table, const int width, const float *bias, float *to, const size_t size,
                    const int outputs, const int images) {
    for (int p = 0; p < places; p++, to += outputs) {
        int o = 0;
        for (; o + 16 <= outputs; o += 16)
            sum_up(field + p, x, in, groups, table + o, width, bias ? bias + o : 0, to + o, size, outputs, images, 2);
        if (o < outputs)
            sum_up(field + p, x, in, groups, table + o, width, bias ? bias + o : 0, to + o, size, outputs, images, 1);
    }
}

/* The same for any number of images, `apart` and `size` apart. */
INLINE void sums_of_all(const Field *field, const int places, const uint8_t *x, const size_t apart, const int groups,
                        const float *table, const int width, const float *bias, float *to, const size_t size,
                        const int outputs, const size_t images) {
    size_t i = 0;
    for (; i + 4 <= images; i += 4)
        sums_of(field, places, x + i * apart, apart, groups, table, width, bias, to + i * size, size, outputs, 4);
    for (; i < images; i++)
        sums_of(field, places, x + i * apart, apart, groups, table, width, bias, to + i * size, size, outputs, 1);
}

/* Counts to codes; the products bring the bits of several bytes together in the highest one. */
INLINE void encode(const uint8_t *counts, uint8_t *codes, const int channels, const int bits) {
    for (int c = 0; c < channels; c += 8 / bits) {
        uint64_t eight;
        uint32_t four;
        if (bits == 1) {
            memcpy(&eight, counts + c, 8);
            *codes++ = (uint8_t)(eight * 0x0102040810204080ULL >> 56);
        } else if (bits == 2) {
            memcpy(&four, counts + c, 4);
            *codes++ = (uint8_t)(four * 0x01041040U >> 24);
        } else
            *codes++ = (uint8_t)(counts[c] | counts[c + 1] << 4);
    }
}

/* One step of the neurons of an image. Long loops over one kind of data each, which compilers vectorise. */
static int64_t fire(const Neuron *n, const float *restrict current, float *restrict v, const uint8_t *restrict add,
                    uint8_t *restrict out, const Counts *counts, const int size) {
    const float decay = n->decay, threshold = n->threshold;
    int32_t *restrict map = counts->map, *restrict ones = counts->ones, *restrict others = counts->others;
    int32_t sum = 0;
    for (int i = 0; i < size; i++) v[i] = current[i] + decay * v[i];
    if (n->at_threshold)
        for (int i = 0; i < size; i++) out[i] = v[i] >= threshold;
    else
        for (int i = 0; i < size; i++) out[i] = v[i] > threshold;
    if (n->reset == 0)
        for (int i = 0; i < size; i++) v[i] = (n->at_threshold ? v[i] >= threshold : v[i] > threshold) ? 0.0f : v[i];
    else if (n->reset == 1)
        for (int i = 0; i < size; i++) v[i] -= out[i] ? threshold : 0.0f;
    for (int i = 0; i < size; i++) map[i] += out[i];
    for (int i = 0; i < size; i++) sum += out[i];
    if (add)
        for (int i = 0; i < size; i++) out[i] = (uint8_t)(out[i] + add[i]);
    if (ones) {
        for (int i = 0; i < size; i++) ones[i] += out[i] == 1;
        for (int i = 0; i < size; i++) others[i] += out[i] > 1;
    }
    return sum;
}

/* All steps of all samples: of a convolution of codes if there are some, else of given currents. */
INLINE void run(const Shape *s, const Neuron *n, const Field *field, const uint8_t *x, const float *table, const int width,
                const float *bias, const float *currents, const int constant, const Output *to, const Counts *counts,
                float *v, float *h, const int outputs) {
    const int places = s->rows * s->columns, groups = groups_of(s->channels, s->bits);
    const int coded = to->codes ? groups_of(outputs, s->bits_out) : 0;
    const size_t in = (size_t)s->height * s->width * groups, size = (size_t)places * outputs;
    for (int k = 0; k < s->samples; k++) {
        memset(v, 0, size * sizeof(float));
        if (x)
            sums_of_all(field, places, x + k * in, in * s->samples, groups, table, width, bias, h, size, outputs, s->steps);
        for (int t = 0; t < s->steps; t++) {
            const size_t image = (size_t)t * s->samples + k;
            uint8_t *out = to->counts + image * size;
            const float *now = x ? h + t * size : currents + (constant ? (size_t)k : image) * size;
            counts->steps[t] += fire(n, now, v, to->add ? to->add + image * size : 0, out, counts, (int)size);
            if (coded) encode(out, to->codes + image * places * coded, (int)size, s->bits_out);
        }
    }
}

#define FOR_OUTPUTS(call)                                                                                              \
    switch (s->outputs) {                                                                                              \
    case 8: call(8); break;                                                                                            \
    case 16: call(16); break;                                                                                          \
    case 32: call(32); break;                                                                                          \
    default: call(s->outputs);                                                                                         \
    }

static int width_for(const Shape *s) {
    const size_t bytes = sizeof(float) * s->kernel * s->kernel * groups_of(s->channels, s->bits) * 256 * s->outputs;
    return bytes > LARGEST ? 4 : 8;
}

/* Convolution of codes, and neurons over all steps. 0, or 1 if there is no memory. */
int convolve_and_fire(const Shape *s, const Neuron *n, const uint8_t *x, const float *weight, const float *bias,
                      const Output *to, const Counts *counts) {
    const int width = width_for(s), groups = groups_of(s->channels, s->bits);
    Field *field = fields(s, groups, groups * (8 / width) * ((size_t)s->outputs << width));
    float *table = tables(s, weight, width), *v = malloc((s->steps + 1) * (size_t)s->rows * s->columns * s->outputs * sizeof(float));
    const int bad = !field || !table || !v;
    if (!bad) {
        float *h = v + (size_t)s->rows * s->columns * s->outputs;
#define WIDE(o) run(s, n, field, x, table, 8, bias, 0, 0, to, counts, v, h, o)
#define NARROW(o) run(s, n, field, x, table, 4, bias, 0, 0, to, counts, v, h, o)
        if (width == 8) {
            FOR_OUTPUTS(WIDE)
        } else {
            FOR_OUTPUTS(NARROW)
        }
    }
    free(field), free(table), free(v);
    return bad;
}

/* Neurons of currents (T or 1, N, rows, columns, outputs); of one step only, they are those of all. */
int fire_all(const Shape *s, const Neuron *n, const float *currents, int32_t constant, const Output *to,
             const Counts *counts) {
    float *v = malloc((size_t)s->rows * s->columns * s->outputs * sizeof(float));
    if (!v) return 1;
#define GIVEN(o) run(s, n, 0, 0, 0, 8, 0, currents, constant, to, counts, v, 0, o)
    FOR_OUTPUTS(GIVEN)
    free(v);
    return 0;
}

/* Convolution without bias of every image and step into `y` (T, N, rows, columns, outputs). */
int convolve(const Shape *s, const uint8_t *x, const float *weight, float *y) {
    const int width = width_for(s), places = s->rows * s->columns, groups = groups_of(s->channels, s->bits);
    const size_t in = (size_t)s->height * s->width * groups, images = (size_t)s->steps * s->samples;
    Field *field = fields(s, groups, groups * (8 / width) * ((size_t)s->outputs << width));
    float *table = tables(s, weight, width);
    const int bad = !field || !table;
    if (!bad) {
#define PLAIN(o) sums_of_all(field, places, x, in, groups, table, width, 0, y, (size_t)places * o, o, images)
        FOR_OUTPUTS(PLAIN)
    }
    free(field), free(table);
    return bad;
}

/* Sums, and sums of squares in two parts, of `rows` x `channels` values in units: see snnbench/snn/grid.py. */
void moments(const float *x, int64_t rows, int32_t channels, const double *inverse, double *sum, double *high,
             double *low, double *block) {
    memset(block, 0, channels * sizeof(double));
    for (int64_t r = 0; r < rows; r++, x += channels) {
        for (int c = 0; c < channels; c++) {
            const double u = x[c] * inverse[c];
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
}

/* Sums over the image: (T, N, places, channels) to (T, N, channels). */
void pool(const uint8_t *x, int32_t images, int32_t places, int32_t channels, float *out) {
    for (int k = 0; k < images; k++, out += channels) {
        memset(out, 0, channels * sizeof(float));
        for (int p = 0; p < places; p++, x += channels)
            for (int c = 0; c < channels; c++) out[c] += x[c];
    }
}
