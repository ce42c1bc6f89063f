/* Layers of a spiking network by table lookup.

   What arrives at a convolution are counts of spikes, one to four bits each. So the channels of a position are a few
   bytes, and what a byte adds to the outputs is one of 256 sums of weights, made once for each candidate: eight channels
   cost one addition. Sums may be made in any order because the weights are on grids on which no sum rounds
   (snnbench/snn/grid.py); so the results are, to the bit, those of a convolution.

   Layouts: counts (T, N, H, W, C), a byte each; codes (T, N, H, W, G), each byte 8 / bits channels; weights and tables
   with the outputs last. Outputs come in multiples of 8. */

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
    uint8_t *counts;    /* (T, N, H, W, C), or NULL */
    uint8_t *codes;     /* (T, N, H, W, G), or NULL */
} Output;

#define INLINE static inline __attribute__((always_inline))
#define LARGEST (1 << 17) /* bytes of tables with 256 entries; larger ones leave the cache, and have 16 instead */

/* Where in the codes of an image to look, and in which table: for every place the taps of the kernel that lie within the
   image, group by group. */
typedef struct {
    int32_t code, table;
} Look;

typedef struct {
    Look *looks;
    int32_t *ends; /* of every place's looks */
} Fields;

static int groups_of(int channels, int bits) { return (channels * bits + 7) / 8; }

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
typedef int32_t Flags __attribute__((vector_size(32), aligned(4)));

#define EACH(n, i) _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)

/* 8 * `eights` sums at one output position of `images` images, in registers.

   Several images at once, for places are found once for all of them, and no addition waits for the one before. */
INLINE void sum_up(const Look *look, const Look *end, const uint8_t *x, const size_t in, const float *table,
                   const int width, const float *bias, float *to, const size_t size, const int outputs, const int images,
                   const int eights) {
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

/* All sums of one to four images into `to`, `size` apart; there are a multiple of 8 outputs. */
INLINE void sums_of(const Fields field, const int places, const uint8_t *x, const size_t in, const float *table,
                    const int width, const float *bias, float *to, const size_t size, const int outputs,
                    const int images) {
    const Look *look = field.looks;
    for (int p = 0; p < places; p++, to += outputs) {
        const Look *end = field.looks + field.ends[p];
        int o = 0;
        for (; o + 16 <= outputs; o += 16)
            sum_up(look, end, x, in, table + o, width, bias ? bias + o : 0, to + o, size, outputs, images, 2);
        if (o < outputs)
            sum_up(look, end, x, in, table + o, width, bias ? bias + o : 0, to + o, size, outputs, images, 1);
        look = end;
    }
}

/* The same for any number of images, `apart` and `size` apart. */
INLINE void sums_of_all(const Fields field, const int places, const uint8_t *x, const size_t apart, const float *table,
                        const int width, const float *bias, float *to, const size_t size, const int outputs,
                        const size_t images) {
    size_t i = 0;
    for (; i + 4 <= images; i += 4)
        sums_of(field, places, x + i * apart, apart, table, width, bias, to + i * size, size, outputs, 4);
    for (; i < images; i++)
        sums_of(field, places, x + i * apart, apart, table, width, bias, to + i * size, size, outputs, 1);
}

/* A bit for each that is set. */
INLINE unsigned bits_of(const Flags flags) {
#ifdef __AVX__
    typedef float Lanes __attribute__((vector_size(32)));
    return (unsigned)__builtin_ia32_movmskps256((Lanes)flags);
#else
    unsigned bits = 0;
    for (int i = 0; i < 8; i++) bits |= (unsigned)(flags[i] & 1) << i;
    return bits;
#endif
}

/* The counts of 8 channels, a byte each, to codes; the products bring the bits of four bytes together in the highest. */
INLINE void encode(const uint64_t counts, uint8_t *codes, const int bits) {
    const uint32_t low = (uint32_t)counts, high = (uint32_t)(counts >> 32);
    if (bits == 1)
        *codes = (uint8_t)(counts * 0x0102040810204080ULL >> 56);
    else if (bits == 2) {
        codes[0] = (uint8_t)(low * 0x01041040U >> 24);
        codes[1] = (uint8_t)(high * 0x01041040U >> 24);
    } else
        for (int k = 0; k < 4; k++) codes[k] = (uint8_t)(counts >> 16 * k | counts >> (16 * k + 4));
}

/* What is counted of every neuron, in bytes until one may be full. */
typedef struct {
    uint8_t *map, *ones, *others;
    int steps;
} Tallies;

INLINE void increase(uint8_t *at, const uint64_t by) {
    uint64_t eight;
    memcpy(&eight, at, 8);
    eight += by;
    memcpy(at, &eight, 8);
}

static void empty(Tallies *from, const Counts *to, const int size) {
    const uint8_t *restrict map = from->map, *restrict ones = from->ones, *restrict others = from->others;
    for (int i = 0; i < size; i++) to->map[i] += map[i];
    if (to->ones) {
        for (int i = 0; i < size; i++) to->ones[i] += ones[i];
        for (int i = 0; i < size; i++) to->others[i] += others[i];
    }
    memset(from->map, 0, 3 * (size_t)size);
    from->steps = 0;
}

#define ONES 0x0101010101010101ULL

/* One step of the neurons of an image, 8 at a time. `spread` has for every byte its bits as bytes. */
INLINE int64_t fire(const Neuron *n, const float *current, float *v, const uint8_t *add, uint8_t *out, uint8_t *codes,
                    const int bits_out, const Tallies *tallies, const uint64_t *spread, const int size, const int reset,
                    const int at_threshold, const int sums) {
    const Eight limit = (Eight){0} + n->threshold, decay = (Eight){0} + n->decay;
    /* Copies: a byte that is written could be a part of what is pointed to. */
    uint8_t *const map = tallies->map, *const ones = tallies->ones, *const others = tallies->others;
    int64_t sum = 0;
    for (int i = 0; i < size; i += 8) {
        const Eight h = *(const Eight *)(current + i) + decay * *(Eight *)(v + i);
        const Flags fired = at_threshold ? (Flags)(h >= limit) : (Flags)(h > limit);
        *(Eight *)(v + i) = reset == 0   ? (Eight)((Flags)h & ~fired)
                            : reset == 1 ? h - (Eight)((Flags)limit & fired)
                                         : h;
        const unsigned bits = bits_of(fired);
        sum += __builtin_popcount(bits);
        uint64_t eight = spread[bits];
        increase(map + i, eight);
        if (add) {
            uint64_t more;
            memcpy(&more, add + i, 8);
            eight += more;
        }
        if (sums) { /* of counts up to 15: which are not 0, which more than 1 */
            const uint64_t some = (eight + 127 * ONES) >> 7 & ONES, more = (eight + 126 * ONES) >> 7 & ONES;
            increase(ones + i, some - more);
            increase(others + i, more);
        }
        if (out) memcpy(out + i, &eight, 8);
        if (codes) encode(eight, codes + i / 8 * bits_out, bits_out);
    }
    return sum;
}

static int64_t fire_as(const Neuron *n, const float *current, float *v, const uint8_t *add, uint8_t *out,
                       uint8_t *codes, const int bits_out, Tallies *tallies, const Counts *counts,
                       const uint64_t *spread, const int size) {
    if (++tallies->steps == 256) empty(tallies, counts, size), tallies->steps = 1;
#define FIRE(reset, at, sums, bits) fire(n, current, v, add, out, codes, bits, tallies, spread, size, reset, at, sums)
#define FIRE_SUMS(reset, at)                                                                                           \
    (!counts->ones ? FIRE(reset, at, 0, 1) : bits_out == 2 ? FIRE(reset, at, 1, 2) : FIRE(reset, at, 1, bits_out))
    if (n->reset == 0) return n->at_threshold ? FIRE_SUMS(0, 1) : FIRE_SUMS(0, 0);
    if (n->reset == 1) return n->at_threshold ? FIRE_SUMS(1, 1) : FIRE_SUMS(1, 0);
    return n->at_threshold ? FIRE_SUMS(2, 1) : FIRE_SUMS(2, 0);
}

/* All steps of all samples: of a convolution of codes if there are some, else of given currents. */
INLINE void run(const Shape *s, const Neuron *n, const Fields field, const uint8_t *x, const float *table, const int width,
                const float *bias, const float *currents, const int constant, const Output *to, const Counts *counts,
                float *v, float *h, const int outputs) {
    const int places = s->rows * s->columns, groups = groups_of(s->channels, s->bits);
    const int coded = to->codes ? groups_of(outputs, s->bits_out) : 0;
    const size_t in = (size_t)s->height * s->width * groups, size = (size_t)places * outputs;
    uint8_t *bytes = (uint8_t *)(h + (x ? s->steps * size : 0));
    Tallies tallies = {bytes, bytes + size, bytes + 2 * size, 0};
    memset(bytes, 0, 3 * size);
    uint64_t spread[256] = {0};
    for (int byte = 0; byte < 256; byte++)
        for (int bit = 0; bit < 8; bit++) spread[byte] |= (uint64_t)(byte >> bit & 1) << 8 * bit;
    for (int k = 0; k < s->samples; k++) {
        memset(v, 0, size * sizeof(float));
        if (x)
            sums_of_all(field, places, x + k * in, in * s->samples, table, width, bias, h, size, outputs, s->steps);
        for (int t = 0; t < s->steps; t++) {
            const size_t image = (size_t)t * s->samples + k;
            uint8_t *out = to->counts ? to->counts + image * size : 0;
            uint8_t *codes = coded ? to->codes + image * places * coded : 0;
            const float *now = x ? h + t * size : currents + (constant ? (size_t)k : image) * size;
            counts->steps[t] += fire_as(n, now, v, to->add ? to->add + image * size : 0, out, codes,
                                        s->bits_out, &tallies, counts, spread, (int)size);
        }
    }
    empty(&tallies, counts, (int)size);
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
    const int width = width_for(s);
    const Fields field = fields(s, (8 / width) << width);
    float *table = tables(s, weight, width), *v = malloc((s->steps + 2) * (size_t)s->rows * s->columns * s->outputs * sizeof(float));
    const int bad = !field.looks || !field.ends || !table || !v;
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
    free(field.looks), free(field.ends), free(table), free(v);
    return bad;
}

/* Neurons of currents (T or 1, N, rows, columns, outputs); of one step only, they are those of all. */
int fire_all(const Shape *s, const Neuron *n, const float *currents, int32_t constant, const Output *to,
             const Counts *counts) {
    float *v = malloc(2 * (size_t)s->rows * s->columns * s->outputs * sizeof(float));
    if (!v) return 1;
    float *rest = v + (size_t)s->rows * s->columns * s->outputs;
#define GIVEN(o) run(s, n, (Fields){0}, 0, 0, 8, 0, currents, constant, to, counts, v, rest, o)
    FOR_OUTPUTS(GIVEN)
    free(v);
    return 0;
}

/* Convolution without bias of every image and step into `y` (T, N, rows, columns, outputs). */
int convolve(const Shape *s, const uint8_t *x, const float *weight, float *y) {
    const int width = width_for(s), places = s->rows * s->columns, groups = groups_of(s->channels, s->bits);
    const size_t in = (size_t)s->height * s->width * groups, images = (size_t)s->steps * s->samples;
    const Fields field = fields(s, (8 / width) << width);
    float *table = tables(s, weight, width);
    const int bad = !field.looks || !field.ends || !table;
    if (!bad) {
#define PLAIN(o) sums_of_all(field, places, x, in, table, width, 0, y, (size_t)places * o, o, images)
        FOR_OUTPUTS(PLAIN)
    }
    free(field.looks), free(field.ends), free(table);
    return bad;
}

/* Sums over the image: (T, N, places, channels) to (T, N, channels). */
void pool(const uint8_t *x, int32_t images, int32_t places, int32_t channels, float *out) {
    for (int k = 0; k < images; k++, out += channels) {
        memset(out, 0, channels * sizeof(float));
        for (int p = 0; p < places; p++, x += channels)
            for (int c = 0; c < channels; c++) out[c] += x[c];
    }
}
