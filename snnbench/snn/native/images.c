/* Convolutions of images, whose values are no counts: the first layer of a network. */

#include "layers.h"

/* Images (samples, H, W, C) to sums (samples, rows, columns, outputs); `bias` may be NULL. Weights are (K, K, C, outputs).

   All sums are exact (snnbench/snn/grid.py), so their order does not matter. */
void convolve_images(const Shape *s, const float *x, const float *weight, const float *bias, float *y) {
    const size_t line = (size_t)s->width * s->channels, step = (size_t)s->channels * s->outputs;
    for (int k = 0; k < s->samples; k++, x += s->height * line)
        for (int row = 0; row < s->rows; row++)
            for (int column = 0; column < s->columns; column++, y += s->outputs) {
                const int top = row * s->stride - s->padding, left = column * s->stride - s->padding;
                const int first = top < 0 ? -top : 0, from = left < 0 ? -left : 0;
                const int last = s->height - top < s->kernel ? s->height - top : s->kernel;
                const int to = s->width - left < s->kernel ? s->width - left : s->kernel;
                for (int o = 0; o < s->outputs; o += 8) {
                    Eight sum = bias ? *(const Eight *)(bias + o) : (Eight){0};
                    for (int i = first; i < last; i++) {
                        const float *pixel = x + (top + i) * (ptrdiff_t)line + (left + from) * s->channels;
                        const float *w = weight + (size_t)(i * s->kernel + from) * step + o;
                        for (int c = 0; c < (to - from) * s->channels; c++, w += s->outputs)
                            sum += pixel[c] * *(const Eight *)w;
                    }
                    *(Eight *)(y + o) = sum;
                }
            }
}
