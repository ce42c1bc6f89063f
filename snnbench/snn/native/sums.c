/* How a layer's sums of codes are made: by tables while they fit into a cache, else by rows of weights. */

#include "layers.h"

#define LARGEST (1 << 17) /* bytes of tables with 256 entries; larger ones leave the cache, and have 16 instead ... */
#define MEDIUM (1 << 18)  /* ... unless they are larger than this. Both measured. */
#define HELD (1 << 18)    /* sums that are made before neurons fire, where many samples share what is loaded */

int prepare_sums(const Shape *s, const float *weight, Sums *to) {
    const size_t bytes = sizeof(float) * s->kernel * s->kernel * groups_of(s->channels, s->bits) * 256 * s->outputs;
    const size_t size = (size_t)s->steps * s->rows * s->columns * s->outputs;
    *to = (Sums){0, 0, 1};
    if (bytes <= LARGEST) return !(to->tables = tables_of(s, weight, 8));
    if (bytes / 8 <= MEDIUM) return !(to->tables = tables_of(s, weight, 4));
    to->together = (int)(HELD / size < 1 ? 1 : HELD / size > 16 ? 16 : HELD / size);
    return !(to->rows = rows_of(s, weight, s->steps * to->together));
}

void make_sums(const Sums *s, const Images images, const float *bias, float *to) {
    if (s->tables)
        sums_by_tables(s->tables, images, bias, to);
    else
        sums_by_rows(s->rows, images, bias, to);
}

void free_sums(Sums *s) { free_tables(s->tables), free_rows(s->rows); }
