/* Convolutions of counts of spikes by rows of weights: for each spike, the row behind it is added.

   For layers with many channels, whose tables would leave the cache, and where few neurons fire at a step. A count of two
   adds its row twice. The outputs are worked on in blocks whose weights stay in the cache. */

#include "layers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    int32_t place, tap;
} Tap;

struct Rows {
    int places, outputs, channels, taps, width; /* outputs of a block */
    int inputs, groups, bits, most;              /* places of the input */
    Tap *around;
    int32_t *ends;     /* of every place's taps in `around` */
    float *weight;     /* (blocks, taps, channels, width); zeros behind the last output */
    uint16_t *entries; /* for every code, its channels, each as often as its count, 32 places each */
    uint8_t *lengths;
    uint16_t *lists; /* what fires in the images at hand, place by place */
    int32_t *starts; /* where a place's list starts */
};

/* Outputs of the block that starts with `o`. */
static int left_of(const Rows *r, const int o) { return r->outputs - o < r->width ? r->outputs - o : r->width; }

static void around(const Shape *s, Rows *r) {
    Tap *to = r->around;
    for (int row = 0; row < s->rows; row++)
        for (int column = 0; column < s->columns; column++) {
            for (int i = 0; i < s->kernel; i++)
                for (int j = 0; j < s->kernel; j++) {
                    const int h = row * s->stride + i - s->padding, w = column * s->stride + j - s->padding;
                    if (h >= 0 && h < s->height && w >= 0 && w < s->width)
                        *to++ = (Tap){h * s->width + w, i * s->kernel + j};
                }
            r->ends[row * s->columns + column] = (int32_t)(to - r->around);
        }
}

/* Bytes of weights that stay in the second cache beside what else is needed: measured with 512 kB and 1 MB of it. */
static size_t largest_block(void) {
#ifdef _SC_LEVEL2_CACHE_SIZE
    const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (size > 0) return (size_t)size / 8 * 5;
#endif
    return 320 << 10;
}

static void pack(const Rows *r, const float *weight) {
    float *to = r->weight;
    for (int o = 0; o < r->outputs; o += r->width) {
        const int left = left_of(r, o);
        for (int k = 0; k < r->taps * r->channels; k++, to += r->width)
            memcpy(to, weight + (size_t)k * r->outputs + o, left * sizeof(float));
    }
}

static void expand(const Rows *r) {
    for (int code = 0; code < 256; code++) {
        int length = 0;
        for (int field = 0; field < 8 / r->bits; field++)
            for (int k = code >> field * r->bits & ((1 << r->bits) - 1); k; k--)
                r->entries[32 * code + length++] = (uint16_t)field;
        r->lengths[code] = (uint8_t)length;
    }
}

/* `most` images can be worked on at once. */
Rows *rows_of(const Shape *s, const float *weight, const int most) {
    Rows *r = calloc(1, sizeof(Rows));
    if (!r) return 0;
    r->places = s->rows * s->columns, r->outputs = s->outputs, r->channels = s->channels;
    r->taps = s->kernel * s->kernel, r->inputs = s->height * s->width, r->bits = s->bits, r->most = most;
    r->groups = groups_of(s->channels, s->bits);
    const size_t rows = (size_t)r->taps * r->channels;
    const size_t largest = largest_block() / sizeof(float);
    for (r->width = 64; r->width > WIDEST; r->width /= 2)
        if (s->outputs % r->width == 0 && (rows * r->width <= largest || r->width == 16)) break;
    r->around = malloc((size_t)r->places * r->taps * sizeof(Tap));
    r->ends = malloc(r->places * sizeof(int32_t));
    r->weight = calloc((s->outputs + r->width - 1) / r->width * rows * r->width, sizeof(float));
    r->entries = calloc(256 * 32, sizeof(uint16_t));
    r->lengths = malloc(256);
    /* Of a place at most so many; whole vectors are written beyond the end of the last one. */
    r->lists = malloc(((size_t)most * r->inputs * r->channels * ((1 << s->bits) - 1) + 32) * sizeof(uint16_t));
    r->starts = malloc(((size_t)most * r->inputs + 1) * sizeof(int32_t));
    if (!r->around || !r->ends || !r->weight || !r->entries || !r->lengths || !r->lists || !r->starts) {
        free_rows(r);
        return 0;
    }
    around(s, r), pack(r, weight), expand(r);
    return r;
}

void free_rows(Rows *r) {
    if (r) {
        free(r->around), free(r->ends), free(r->weight), free(r->entries), free(r->lengths), free(r->lists);
        free(r->starts);
    }
    free(r);
}

/* Lists of what fires at every place of an image; where the next list begins. `width` places hold a code's channels. */
INLINE int32_t list(const Rows *r, const uint8_t *codes, int32_t at, int32_t *starts, const int width, const int bits) {
    for (int place = 0; place < r->inputs; place++) {
        starts[place] = at;
        for (int g = 0; g < r->groups; g++) {
            const unsigned code = *codes++;
            const uint16_t *entries = r->entries + 32 * code, base = (uint16_t)(g * (8 / bits));
            uint16_t *to = r->lists + at;
            for (int k = 0; k < width; k++) to[k] = (uint16_t)(entries[k] + base);
            at += r->lengths[code];
        }
    }
    return at;
}

static int32_t list_image(const Rows *r, const uint8_t *codes, const int32_t at, int32_t *starts) {
    if (r->bits == 1) return list(r, codes, at, starts, 8, 1);
    if (r->bits == 2) return list(r, codes, at, starts, 16, 2);
    return list(r, codes, at, starts, 32, 4);
}

#define EACH(n, i) _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)

/* A block of sums, as `count` vectors, at every place of an image; `left` of them are wanted. Few vectors are made in
   several parts, so that none waits for another. */
INLINE void sum_block(const Rows *r, const float *weight, const int32_t *starts, const float *bias, float *to,
                      const int left, const int count) {
    const int parts = 8 / count, width = WIDEST * count;
    const Tap *tap = r->around;
    for (int p = 0; p < r->places; p++, to += r->outputs) {
        Widest sums[8];
        EACH(count, e) sums[e] = *(const Widest *)(bias + WIDEST * e);
        EACH(8 - count, e) sums[count + e] = (Widest){0};
        for (const Tap *end = r->around + r->ends[p]; tap < end; tap++) {
            const float *rows = weight + (size_t)tap->tap * r->channels * width;
            const uint16_t *entry = r->lists + starts[tap->place], *stop = r->lists + starts[tap->place + 1];
            for (; entry + parts <= stop; entry += parts)
                EACH(parts, k) {
                    const float *row = rows + (size_t)entry[k] * width;
                    EACH(count, e) sums[k * count + e] += *(const Widest *)(row + WIDEST * e);
                }
            for (; entry < stop; entry++) {
                const float *row = rows + (size_t)*entry * width;
                EACH(count, e) sums[e] += *(const Widest *)(row + WIDEST * e);
            }
        }
        EACH(count, e) for (int k = 1; k < parts; k++) sums[e] += sums[k * count + e];
        if (left == width) {
            EACH(count, e) *(Widest *)(to + WIDEST * e) = sums[e];
        } else
            memcpy(to, sums, left * sizeof(float));
    }
}

void sums_by_rows(const Rows *r, const Images from, const float *bias, float *to) {
    const int all = from.inner * from.outer;
    const size_t size = (size_t)r->places * r->outputs, block = (size_t)r->taps * r->channels * r->width;
    for (int first = 0; first < all; first += r->most) {
        const int images = all - first < r->most ? all - first : r->most;
        int32_t at = 0;
        for (int i = 0; i < images; i++) {
            const int k = (first + i) / from.inner, t = (first + i) % from.inner;
            at = list_image(r, from.codes + k * from.far + t * from.near, at, r->starts + (size_t)i * r->inputs);
        }
        r->starts[(size_t)images * r->inputs] = at;
        for (int o = 0; o < r->outputs; o += r->width) {
            const float *weight = r->weight + o / r->width * block;
            const int left = left_of(r, o);
            float offset[64] = {0};
            if (bias) memcpy(offset, bias + o, left * sizeof(float));
            for (int i = 0; i < images; i++) {
                const int32_t *starts = r->starts + (size_t)i * r->inputs;
                float *out = to + (first + i) * size + o;
                switch (r->width / WIDEST) {
                case 8: sum_block(r, weight, starts, offset, out, left, 8); break;
                case 4: sum_block(r, weight, starts, offset, out, left, 4); break;
                case 2: sum_block(r, weight, starts, offset, out, left, 2); break;
                default: sum_block(r, weight, starts, offset, out, left, 1);
                }
            }
        }
    }
}
