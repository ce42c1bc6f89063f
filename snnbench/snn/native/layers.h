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
#define EXPORT __attribute__((visibility("default"))) /* of what Python calls; the rest is hidden */

typedef float Eight __attribute__((vector_size(32), aligned(4)));
typedef int32_t Flags __attribute__((vector_size(32), aligned(4)));

#ifdef __AVX512F__
#define WIDEST 16 /* floats that one instruction adds */
#else
#define WIDEST 8
#endif
typedef float Widest __attribute__((vector_size(4 * WIDEST), aligned(4)));

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

/* One of both (sums.c), and for how many samples at once. */
typedef struct {
    Tables *tables;
    Rows *rows;
    int together;
} Sums;

int prepare_sums(const Shape *s, const float *weight, Sums *to); /* 0, or 1 if there is no memory */
void make_sums(const Sums *s, Images images, const float *bias, float *to);
void free_sums(Sums *s);

/* Sums of images whose values are no counts (images.c). */
void convolve_images(const Shape *s, const float *x, const float *weight, const float *bias, float *y);

/* What arrives at neurons (neurons.c): sums of codes that are still to be made, or currents (T or 1, N, H, W, C); of one
   step only, they are those of all. */
typedef struct {
    const Sums *sums;
    const uint8_t *codes;
    const float *bias;
    const float *currents;
    int constant;
} Currents;

int fire_all(const Shape *s, const Neuron *n, const Currents *from, const Output *to, const Counts *counts);

/* Weights on their grids, and batch normalisation (calibration.c). Weights (outputs, channels, taps), times a scale of
   each output if there is one, are moved to their grids, and biases; what is not wanted is NULL. */
typedef struct {
    int32_t outputs, channels, taps, is_signed;
    int32_t spare; /* bits that sums of outputs need beyond */
    double largest;
    float step;
} Inputs;

typedef struct {
    const float *gain, *offset;
    float *units; /* of the sums */
    double epsilon;
    float *mean, *variance, *scale, *shift; /* statistics, and what they make of a sum */
} Norm;

void on_grid(const Inputs *s, const float *weight, const float *scale, const float *bias, float *by_tap,
             float *channels_last, float *bias_out, float *units);
int normalise(float *x, int64_t rows, int32_t channels, const Norm *n); /* 0, or 1 if there is no memory */

#endif
