/* Neurons of a layer, over all steps.

   Layouts: counts (T, N, H, W, C), a byte each; codes (T, N, H, W, G), each byte 8 / bits channels. */

#include "layers.h"

#include <stdlib.h>
#include <string.h>

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
INLINE int64_t fire_step(const Neuron *n, const float *current, float *v, const uint8_t *add, uint8_t *out, uint8_t *codes,
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
#define FIRE(reset, at, sums, bits) fire_step(n, current, v, add, out, codes, bits, tallies, spread, size, reset, at, sums)
#define FIRE_SUMS(reset, at)                                                                                           \
    (!counts->ones ? FIRE(reset, at, 0, 1) : bits_out == 2 ? FIRE(reset, at, 1, 2) : FIRE(reset, at, 1, bits_out))
    if (n->reset == 0) return n->at_threshold ? FIRE_SUMS(0, 1) : FIRE_SUMS(0, 0);
    if (n->reset == 1) return n->at_threshold ? FIRE_SUMS(1, 1) : FIRE_SUMS(1, 0);
    return n->at_threshold ? FIRE_SUMS(2, 1) : FIRE_SUMS(2, 0);
}

/* Of every byte its bits, as bytes. */
#define BIT(b, k) ((uint64_t)((b) >> (k) & 1) << 8 * (k))
#define SPREAD(b) (BIT(b, 0) | BIT(b, 1) | BIT(b, 2) | BIT(b, 3) | BIT(b, 4) | BIT(b, 5) | BIT(b, 6) | BIT(b, 7))
#define SPREAD_4(b) SPREAD(b), SPREAD(b + 1), SPREAD(b + 2), SPREAD(b + 3)
#define SPREAD_16(b) SPREAD_4(b), SPREAD_4(b + 4), SPREAD_4(b + 8), SPREAD_4(b + 12)
#define SPREAD_64(b) SPREAD_16(b), SPREAD_16(b + 16), SPREAD_16(b + 32), SPREAD_16(b + 48)
static const uint64_t SPREADS[256] = {SPREAD_64(0), SPREAD_64(64), SPREAD_64(128), SPREAD_64(192)};

/* Neurons of all steps of all samples. 0, or 1 if there is no memory. */
int fire_all(const Shape *s, const Neuron *n, const Currents *from, const Output *to, const Counts *counts) {
    const int places = s->rows * s->columns, together = from->sums ? from->sums->together : 1;
    const int coded = to->codes ? groups_of(s->outputs, s->bits_out) : 0;
    const size_t in = (size_t)s->height * s->width * groups_of(s->channels, s->bits), size = (size_t)places * s->outputs;
    float *v = malloc((size + (from->sums ? together * s->steps * size : 0)) * sizeof(float)), *h = v + size;
    uint8_t *bytes = calloc(3, size);
    if (!v || !bytes) {
        free(v), free(bytes);
        return 1;
    }
    Tallies tallies = {bytes, bytes + size, bytes + 2 * size, 0};
    for (int k = 0; k < s->samples; k++) {
        memset(v, 0, size * sizeof(float));
        if (from->sums && k % together == 0) {
            const int outer = s->samples - k < together ? s->samples - k : together;
            make_sums(from->sums, (Images){from->codes + k * in, in * s->samples, in, s->steps, outer}, from->bias, h);
        }
        for (int t = 0; t < s->steps; t++) {
            const size_t image = (size_t)t * s->samples + k;
            uint8_t *out = to->counts ? to->counts + image * size : 0;
            uint8_t *codes = coded ? to->codes + image * places * coded : 0;
            const float *now = from->sums ? h + (size_t)(k % together * s->steps + t) * size
                                          : from->currents + (from->constant ? (size_t)k : image) * size;
            counts->steps[t] += fire_as(n, now, v, to->add ? to->add + image * size : 0, out, codes, s->bits_out,
                                        &tallies, counts, SPREADS, (int)size);
        }
    }
    empty(&tallies, counts, (int)size);
    free(v), free(bytes);
    return 0;
}
