/* What the files in C share. Outputs come in multiples of 8. */

#ifndef SNNBENCH_LAYERS_H
#define SNNBENCH_LAYERS_H

#include <stddef.h>
#include <stdint.h>

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

typedef float Eight __attribute__((vector_size(32), aligned(4)));
typedef int32_t Flags __attribute__((vector_size(32), aligned(4)));

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

static inline int groups_of(int channels, int bits) { return (channels * bits + 7) / 8; }

/* Images of which sums are made: `inner` of them `near` apart, and that `outer` times, `far` apart. */
typedef struct {
    const uint8_t *codes;
    size_t near, far;
    int inner, outer;
} Images;

/* By tables (tables.c), which few channels have room for, or by rows of weights (rows.c). NULL if there is no memory. */
typedef struct Tables Tables;
Tables *tables_of(const Shape *s, const float *weight, int width);
void sums_by_tables(const Tables *t, Images images, const float *bias, float *to);
void free_tables(Tables *t);

typedef struct Rows Rows;
Rows *rows_of(const Shape *s, const float *weight, int most);
void sums_by_rows(const Rows *r, Images images, const float *bias, float *to);
void free_rows(Rows *r);

#endif
