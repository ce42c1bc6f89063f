/* A whole network at once: layers of convolutions and neurons, some samples after the others, so that what a layer makes
   is still in a cache when the next one reads it. */

#include "layers.h"

#include <stdlib.h>
#include <string.h>

#define HELD (1 << 18) /* bytes that all layers make of the samples that are worked on at once; measured */
#define FEWEST 16
#define MOST 64

typedef struct {
    Shape shape; /* its samples do not matter */
    int32_t source, add; /* layers before this one whose spikes arrive, and are added to its own; -1: images arrive, none */
    int32_t counted; /* whether counts are needed, not only codes */
    Inputs inputs;
    const float *raw; /* (outputs, channels, taps) */
    float *weight, *bias; /* with normalisation, on their grids: (taps, channels, outputs) and (outputs) */
    float *channels_last; /* the same weights, (outputs, taps, channels) */
    Norm norm;
} Layer;

typedef struct {
    const Layer *layers;
    int32_t count, samples;
    int32_t frames;    /* whether there is an image for every step */
    int32_t calibrate; /* whether normalisation is estimated and folded, or was before */
    int32_t classes;
    const float *readout; /* (classes, channels of the last layer), for its operations */
} Network;

typedef struct {
    int64_t *spikes;    /* (layers, T) */
    double *operations; /* ACs and MACs */
    float *sums;        /* (T, N, C) of the last layer's counts over an image */
    uint8_t *silent;    /* (N) whether it never fired for a sample */
} Found;

/* What a layer makes of the samples at hand, and counts of all. */
typedef struct {
    uint8_t *counts, *codes;
    int32_t *maps; /* (1 or 3, H, W, C): see Counts */
    int single;    /* 1 of them */
    Sums sums;
} Room;

static size_t places_of(const Shape *s) { return (size_t)s->rows * s->columns; }
static size_t size_of(const Shape *s) { return places_of(s) * s->outputs; }
static size_t coded_of(const Shape *s) { return s->bits_out ? places_of(s) * groups_of(s->outputs, s->bits_out) : 0; }

static int block_of(const Network *n) {
    size_t bytes = 0;
    for (int l = 0; l < n->count; l++) {
        const Shape *s = &n->layers[l].shape;
        bytes += s->steps * ((n->layers[l].counted ? size_of(s) : 0) + coded_of(s));
    }
    const size_t fit = HELD / bytes;
    const int block = fit < FEWEST ? FEWEST : fit > MOST ? MOST : (int)fit;
    return n->calibrate || n->samples < block ? n->samples : block;
}

static int make_room(const Network *n, const int block, Room *rooms) {
    for (int l = 0; l < n->count; l++) {
        const Layer *layer = n->layers + l;
        const Shape *s = &layer->shape;
        const size_t images = (size_t)s->steps * block;
        Room *room = rooms + l;
        room->single = layer->add < 0 || !s->bits_out;
        room->maps = calloc((room->single ? 1 : 3) * size_of(s), sizeof(int32_t));
        room->counts = layer->counted ? malloc(images * size_of(s)) : 0;
        room->codes = s->bits_out ? malloc(images * coded_of(s)) : 0;
        if (!room->maps || (layer->counted && !room->counts) || (s->bits_out && !room->codes)) return 1;
        if (!n->calibrate && layer->source >= 0 && prepare_sums(s, layer->weight, &room->sums)) return 1;
    }
    return 0;
}

static void free_room(const Network *n, Room *rooms) {
    for (int l = 0; l < n->count; l++) {
        free(rooms[l].maps), free(rooms[l].counts), free(rooms[l].codes);
        free_sums(&rooms[l].sums);
    }
    free(rooms);
}

/* Sums of all steps (or the one that stands for all) of a layer into `y`. */
static int convolve(const Network *n, const Layer *layer, const Shape *s, const Room *rooms, const float *x,
                    const float *bias, float *y) {
    const size_t in = (size_t)s->height * s->width;
    if (layer->source < 0) {
        const size_t far = n->samples * in * s->channels, size = s->samples * size_of(s);
        for (int t = 0; t < (n->frames ? s->steps : 1); t++)
            convolve_images(s, x + t * far, layer->weight, bias, y + t * size);
        return 0;
    }
    Sums sums;
    const int bad = prepare_sums(s, layer->weight, &sums);
    const size_t near = in * groups_of(s->channels, s->bits);
    if (!bad) make_sums(&sums, (Images){rooms[layer->source].codes, near, 0, s->steps * s->samples, 1}, bias, y);
    free_sums(&sums);
    return bad;
}

/* The same normalised by their own statistics, which are folded into the layer's weights. */
static int calibrate(const Network *n, const Layer *layer, const Shape *s, const Room *rooms, const float *x, float *y) {
    const Norm *norm = &layer->norm;
    const int steps = layer->source < 0 && !n->frames ? 1 : s->steps;
    on_grid(&layer->inputs, layer->raw, 0, 0, layer->weight, 0, 0, norm->units);
    if (convolve(n, layer, s, rooms, x, 0, y)) return 1;
    if (normalise(y, (int64_t)steps * s->samples * places_of(s), s->outputs, norm)) return 1;
    on_grid(&layer->inputs, layer->raw, norm->scale, norm->shift, layer->weight, layer->channels_last, layer->bias, 0);
    return 0;
}

/* All layers of the samples from `first` on. */
static int run_block(const Network *n, const Neuron *neuron, const float *x, const int first, const int samples,
                     Room *rooms, float *y, const Found *to) {
    for (int l = 0; l < n->count; l++) {
        const Layer *layer = n->layers + l;
        Shape s = layer->shape;
        s.samples = samples;
        const float *images = x + (size_t)first * s.height * s.width * s.channels;
        Currents from = {0};
        if (n->calibrate || layer->source < 0) {
            if (n->calibrate ? calibrate(n, layer, &s, rooms, images, y)
                             : convolve(n, layer, &s, rooms, images, layer->bias, y))
                return 1;
            from = (Currents){.currents = y, .constant = layer->source < 0 && !n->frames};
        } else
            from = (Currents){&rooms[l].sums, rooms[layer->source].codes, layer->bias, 0, 0};
        int32_t *maps = rooms[l].maps, *ones = rooms[l].single ? 0 : maps + size_of(&s);
        const Counts counts = {to->spikes + (size_t)l * s.steps, maps, ones, ones ? ones + size_of(&s) : 0};
        const Output out = {layer->add < 0 ? 0 : rooms[layer->add].counts, rooms[l].counts, rooms[l].codes};
        if (fire_all(&s, neuron, &from, &out, &counts)) return 1;
    }
    return 0;
}

/* The last layer's counts over an image, of the samples from `first` on. */
static void pool(const Network *n, const Room *last, const int first, const int samples, const Found *to) {
    const Shape *s = &n->layers[n->count - 1].shape;
    const uint8_t *counts = last->counts;
    memset(to->silent + first, 1, samples);
    for (int t = 0; t < s->steps; t++)
        for (int k = first; k < first + samples; k++) {
            float *sums = to->sums + ((size_t)t * n->samples + k) * s->outputs;
            memset(sums, 0, s->outputs * sizeof(float));
            for (size_t p = 0; p < places_of(s); p++, counts += s->outputs)
                for (int o = 0; o < s->outputs; o++) sums[o] += counts[o];
            for (int o = 0; o < s->outputs; o++) to->silent[k] &= sums[o] == 0.0f;
        }
}

/* Non-zero inputs (H, W, C) times the non-zero weights behind each: see snnbench/snn/tally.py. `fan` has room for a
   whole number per tap and channel. */
static double operations(const Layer *layer, const int32_t *map, int32_t *fan) {
    const Shape *s = &layer->shape;
    const int taps = s->kernel * s->kernel;
    memset(fan, 0, (size_t)taps * s->channels * sizeof(int32_t));
    const float *w = layer->raw;
    for (int o = 0; o < s->outputs; o++)
        for (int c = 0; c < s->channels; c++)
            for (int tap = 0; tap < taps; tap++) fan[tap * s->channels + c] += *w++ != 0.0f;
    int64_t sum = 0;
    for (int row = 0; row < s->rows; row++)
        for (int column = 0; column < s->columns; column++)
            for (int tap = 0; tap < taps; tap++) {
                const int h = row * s->stride + tap / s->kernel - s->padding;
                const int w = column * s->stride + tap % s->kernel - s->padding;
                if (h < 0 || h >= s->height || w < 0 || w >= s->width) continue;
                const int32_t *at = map + (size_t)(h * s->width + w) * s->channels, *by = fan + tap * s->channels;
                for (int c = 0; c < s->channels; c++) sum += (int64_t)at[c] * by[c];
            }
    return (double)sum;
}

/* Of the linear layer behind the sums: a MAC wherever a sum is not zero. `seen` has room for a number per channel. */
static double readout_operations(const Network *n, const float *sums, int32_t *seen) {
    const Shape *s = &n->layers[n->count - 1].shape;
    const int channels = s->outputs;
    memset(seen, 0, channels * sizeof(int32_t));
    for (size_t k = 0; k < (size_t)s->steps * n->samples; k++, sums += channels)
        for (int c = 0; c < channels; c++) seen[c] += sums[c] != 0.0f;
    double sum = 0.0;
    for (int k = 0; k < n->classes; k++)
        for (int c = 0; c < channels; c++) sum += n->readout[k * channels + c] != 0.0f ? seen[c] : 0;
    return sum;
}

/* Pixels count as MACs; events of frames as ACs where they are single. 0, or 1 if there is no memory. */
static int count_operations(const Network *n, const Room *rooms, const float *x, const float *sums, double *to) {
    const Shape *s = &n->layers[0].shape;
    const size_t size = (size_t)s->height * s->width * s->channels;
    const size_t images = (size_t)n->samples * (n->frames ? s->steps : 1);
    size_t most = n->layers[n->count - 1].shape.outputs;
    for (int l = 0; l < n->count; l++) {
        const size_t fan = (size_t)n->layers[l].shape.kernel * n->layers[l].shape.kernel * n->layers[l].shape.channels;
        if (fan > most) most = fan;
    }
    int32_t *ones = calloc(2 * size + most, sizeof(int32_t)), *others = ones + size, *fan = others + size;
    if (!ones) return 1;
    for (size_t k = 0; k < images; k++, x += size)
        for (size_t i = 0; i < size; i++) {
            const int32_t one = n->frames && (x[i] == 1.0f || x[i] == -1.0f);
            ones[i] += one, others[i] += (x[i] != 0.0f) - one;
        }
    for (int l = 0; l < n->count; l++) {
        const Layer *layer = n->layers + l;
        const int32_t *single = ones, *more = others;
        if (layer->source >= 0) {
            const Room *from = rooms + layer->source;
            const size_t map = size_of(&n->layers[layer->source].shape);
            single = from->single ? from->maps : from->maps + map, more = from->single ? 0 : from->maps + 2 * map;
        }
        to[0] += operations(layer, single, fan);
        if (more) to[1] += operations(layer, more, fan);
    }
    to[1] += readout_operations(n, sums, fan);
    free(ones);
    return 0;
}

/* Images (N, H, W, C), or frames (T, N, H, W, C), through a network. What is found is added to spikes and operations.
   0, or 1 if there is no memory. */
EXPORT int run_network(const Network *n, const Neuron *neuron, const float *x, const Found *to) {
    const int block = block_of(n);
    size_t most = 0;
    for (int l = 0; l < n->count; l++) {
        const Layer *layer = n->layers + l;
        const size_t steps = layer->source < 0 && !n->frames ? 1 : layer->shape.steps;
        const size_t size = steps * block * size_of(&layer->shape);
        if ((n->calibrate || layer->source < 0) && size > most) most = size;
    }
    Room *rooms = calloc(n->count, sizeof(Room));
    float *y = malloc(most * sizeof(float));
    int bad = !rooms || !y || make_room(n, block, rooms);
    for (int first = 0; !bad && first < n->samples; first += block) {
        const int samples = n->samples - first < block ? n->samples - first : block;
        bad = run_block(n, neuron, x, first, samples, rooms, y, to);
        if (!bad) pool(n, rooms + n->count - 1, first, samples, to);
    }
    bad = bad || count_operations(n, rooms, x, to->sums, to->operations);
    free(y);
    if (rooms) free_room(n, rooms);
    return bad;
}
