// Where the windows of a picture lie, whole or clipped by its edge, and how their tokens come and go.
#pragma once

#include "vectors.h"

namespace mdn {

// Tokens of a window, and with that the stride of a row of any buffer: [channel][token].
constexpr int kTokens = 64;

// Windows of `cell` tokens along an axis; a shift leaves clipped ones of `shift` at either end.
struct Axis {
  int length, cell, shift;
  int spans() const { return length / cell + (shift ? 1 : 0); }
  int begin(int span) const { return shift && span ? shift + (span - 1) * cell : span * cell; }
  int end(int span) const {
    const int stop = shift ? shift + span * cell : (span + 1) * cell;
    return stop < length ? stop : length;
  }
};

struct Grid {
  int batch, dim;
  Axis down, across;
  int windows() const { return batch * down.spans() * across.spans(); }
};

struct Window {
  int sample, area, kind;
  int64_t tokens[kTokens];  // place of each token in the picture, in raster order

  Window(const Grid& g, int index) {
    const int spans = g.across.spans(), x = index % spans, y = index / spans % g.down.spans();
    sample = index / (spans * g.down.spans());
    const int top = g.down.begin(y), rows = g.down.end(y) - top;
    const int left = g.across.begin(x), columns = g.across.end(x) - left;
    area = rows * columns;
    kind = (rows < g.down.cell ? 2 : 0) + (columns < g.across.cell ? 1 : 0);
    for (int i = 0; i < area; ++i) {
      const int64_t row = int64_t(sample) * g.down.length + top + i / columns;
      tokens[i] = row * g.across.length + left + i % columns;
    }
  }
  int vectors() const { return (area + kLanes - 1) / kLanes; }

  // (..., dim) to [channel][token]; lanes beyond the area become 0.
  void read(const float* from, int dim, float* to) const {
    for (int first = 0; first < vectors() * kLanes; first += kLanes)
      if (dim < kLanes || first + kLanes > area) {
        for (int c = 0; c < dim; ++c)
          for (int i = first; i < first + kLanes; ++i)
            to[c * kTokens + i] = i < area ? from[tokens[i] * dim + c] : 0.0f;
      } else {
        // The last sixteen channels may overlap those before: nothing is read beyond a token.
        for (int c = 0; c < dim; c += kLanes) {
          const int channel = c + kLanes <= dim ? c : dim - kLanes;
          vf block[kLanes];
          MDN_UNROLL for (int i = 0; i < kLanes; ++i)
            block[i] = load_anywhere(from + tokens[first + i] * dim + channel);
          transpose(block);
          MDN_UNROLL for (int i = 0; i < kLanes; ++i)
            store(to + (channel + i) * kTokens + first, block[i]);
        }
      }
  }

  void write(const float* from, int dim, float* to) const {
    for (int first = 0; first < vectors() * kLanes; first += kLanes)
      if (dim < kLanes || first + kLanes > area) {
        for (int c = 0; c < dim; ++c)
          for (int i = first; i < first + kLanes && i < area; ++i)
            to[tokens[i] * dim + c] = from[c * kTokens + i];
      } else {
        for (int c = 0; c < dim; c += kLanes) {
          const int channel = c + kLanes <= dim ? c : dim - kLanes;
          vf block[kLanes];
          MDN_UNROLL for (int i = 0; i < kLanes; ++i)
            block[i] = load(from + (channel + i) * kTokens + first);
          transpose(block);
          MDN_UNROLL for (int i = 0; i < kLanes; ++i)
            store_anywhere(to + tokens[first + i] * dim + channel, block[i]);
        }
      }
  }
};

}  // namespace mdn
