// One block of SwinIR in one window: everything between reading its tokens and writing them stays
// in the cache.
#pragma once

#include "layers.h"

namespace mdn {

// Parameters of a block, or their gradients, in the order that `mdn.nets.native.block` lists them.
struct Parameters {
  float *norm1, *norm1_bias, *qkv, *qkv_bias, *bias, *proj, *proj_bias;
  float *norm2, *norm2_bias, *fc1, *fc1_bias, *fc2, *fc2_bias;
};

// A layer's weights, (rows, columns), and their transpose for the gradient.
struct Weights {
  Packed packed, packed_turned;
  Matrix matrix{}, turned{};
  void fill(const float* data, int rows, int columns, bool half) {
    matrix = {data, columns, 1, half ? &packed : nullptr};
    turned = {data, 1, columns, half ? &packed_turned : nullptr};
    if (!half) return;
    packed.fill(data, rows, columns, columns, 1);
    packed_turned.fill(data, columns, rows, 1, columns);
  }
};

struct Block {
  Grid grid;
  int heads, hidden;
  Parameters at;
  const uint8_t* keep;   // [picture], or null: all kept
  const float* scales;   // [2][batch], of the two branches, or null: 1
  bool half;             // products in bfloat16
  Weights qkv, proj, fc1, fc2;
  int size() const { return grid.dim / heads; }
  float query_scale() const { return 1.0f / std::sqrt(float(size())); }
  float scale(int branch, int sample) const {
    return scales ? scales[branch * grid.batch + sample] : 1.0f;
  }
};

// The relative bias, (heads, window^2, window^2), for each shape of window: [head][key][query], and
// its exponential.
struct Biases {
  Floats plain, exponent;
  int heads;
  bool moderate = true;

  explicit Biases(const Block& b)
      : plain(4 * int64_t(b.heads) * kTokens * kTokens), exponent(plain.size()), heads(b.heads) {
    each(b, [&](int64_t at, int64_t place) {
      plain[at] = b.at.bias[place];
      moderate &= std::fabs(plain[at]) < kPlainBias;
    });
    for (int64_t i = 0; i < plain.size(); i += kLanes)
      store(exponent + i, exponential(load(plain + i)));
  }
  static int64_t place(int heads, int kind, int head) {
    return (int64_t(kind) * heads + head) * kTokens * kTokens;
  }
  template <class Visit>
  static void each(const Block& b, Visit visit) {
    const int w = b.grid.down.cell, shift = b.grid.down.shift;
    for (int kind = 0; kind < (shift ? 4 : 1); ++kind) {
      const int rows = kind & 2 ? shift : w, columns = kind & 1 ? shift : w;
      for (int head = 0; head < b.heads; ++head)
        for (int j = 0; j < rows * columns; ++j)
          for (int i = 0; i < rows * columns; ++i) {
            const int query = i / columns * w + i % columns, key = j / columns * w + j % columns;
            visit(place(b.heads, kind, head) + j * kTokens + i,
                  (int64_t(head) * w * w + query) * w * w + key);
          }
    }
  }
};

// Every value of a window's forward pass; "packed": kept tokens only, side by side.
struct Work {
  Floats x, packed, y, qkv, query, attended, inverse, top;
  Floats mean1, inverse1, x1, y1, mean2, inverse2, h, act;
  int kept[kTokens], others[kTokens];
  int keys, hiddens;

  explicit Work(const Block& b)
      : x(rows(b.grid.dim)), packed(x.size()), y(x.size()), qkv(3 * x.size()), query(x.size()),
        attended(x.size()), inverse(rows(b.heads)), top(inverse.size()), mean1(kTokens),
        inverse1(kTokens), x1(x.size()), y1(x.size()), mean2(kTokens), inverse2(kTokens),
        h(rows(b.hidden)), act(h.size()) {}
  // Sixteen rows more than there are: `turn` reads whole blocks.
  static int64_t rows(int count) { return int64_t(count + kLanes) * kTokens; }

  // Tokens the mask hides are 0 before q, k and v, so theirs are the biases alone: nothing of them
  // is multiplied. `dense` treats them like all others.
  void choose(const Block& b, const Window& w, bool dense) {
    keys = hiddens = 0;
    for (int i = 0; i < w.area; ++i)
      if (dense || !b.keep || b.keep[w.tokens[i]])
        kept[keys++] = i;
      else
        others[hiddens++] = i;
  }
  int vectors() const { return (keys + kLanes - 1) / kLanes; }

  Head head(const Block& b, const Biases& biases, int kind, int index) {
    const int size = b.size();
    const int64_t at = index * size * kTokens, dim = b.grid.dim * kTokens;
    const int64_t table = Biases::place(b.heads, kind, index);
    const float* bias = b.at.qkv_bias + b.grid.dim + index * size;
    return {query + at, qkv + dim + at, qkv + 2 * dim + at, kept, others, keys, hiddens,
            bias, bias + b.grid.dim, biases.plain + table, biases.exponent + table,
            attended + at, inverse + index * kTokens, top + index * kTokens};
  }
};

// Calls `run` with a small number as a constant: loops over it are then unrolled.
template <class Run>
inline void by_vectors(int vectors, Run run) {
  switch (vectors) {
    case 1: run(std::integral_constant<int, 1>()); return;
    case 2: run(std::integral_constant<int, 2>()); return;
    case 3: run(std::integral_constant<int, 3>()); return;
    case 4: run(std::integral_constant<int, 4>()); return;
  }
}

inline void pack(const float* from, int dim, const int* kept, int keys, float* to) {
  for (int c = 0; c < dim; ++c)
    for (int n = 0; n < keys; ++n) to[c * kTokens + n] = from[c * kTokens + kept[n]];
}

// LayerNorm, q, k and v of the kept tokens, and the queries of all.
inline void project(const Block& b, const Window& w, Work& k, bool dense) {
  const int dim = b.grid.dim;
  const float scale = b.query_scale();
  pack(k.x, dim, k.kept, k.keys, k.packed);
  by_vectors(k.vectors(), [&](auto V) {
    normalise<V>(k.packed, dim, b.at.norm1, b.at.norm1_bias, k.y, k.mean1, k.inverse1);
    if (dense && b.keep)
      for (int c = 0; c < dim; ++c)
        for (int i = 0; i < w.area; ++i)
          if (!b.keep[w.tokens[i]]) k.y[c * kTokens + i] = 0;
    multiply<V>(b.qkv.matrix, 3 * dim, dim, k.y, [&](int row, int v, vf sum) {
      store(k.qkv + row * kTokens + v * kLanes, sum + b.at.qkv_bias[row]);
    });
  });
  for (int c = 0; c < dim; ++c) {
    float* query = k.query + c * kTokens;
    for (int i = 0; i < w.vectors() * kLanes; i += kLanes)
      store(query + i, all(b.at.qkv_bias[c] * scale));
    for (int n = 0; n < k.keys; ++n) query[k.kept[n]] = k.qkv[c * kTokens + n] * scale;
  }
}

// Whether all sums of exponentials were far from the ends of float32.
template <int D>
bool attend_all(const Block& b, const Window& w, const Biases& biases, Work& k, bool dense) {
  constexpr int NV = D <= 10 ? 2 : 1;
  vi extreme = {};
  for (int index = 0; index < b.heads; ++index) {
    const Head h = k.head(b, biases, w.kind, index);
    for (int first = 0; first < w.area; first += kLanes) {
      store(h.top + first, vf{});
      if (dense) highest<D>(h, first);
    }
    int first = 0;
    for (; first + NV * kLanes <= w.vectors() * kLanes; first += NV * kLanes)
      attend<D, NV>(h, first, extreme);
    for (; first < w.area; first += kLanes) attend<D, 1>(h, first, extreme);
  }
  int32_t any = 0;
  for (int l = 0; l < kLanes; ++l) any |= extreme[l];
  return !any;
}

using Attention = bool (*)(const Block&, const Window&, const Biases&, Work&, bool);

// x to x1, y1, h and act: all but the last product.
template <int V>
void until_mlp(const Block& b, const Window& w, const Biases& biases, Attention attention, Work& k) {
  const int dim = b.grid.dim;
  bool dense = !biases.moderate;
  for (;; dense = true) {
    k.choose(b, w, dense);
    project(b, w, k, dense);
    if (attention(b, w, biases, k, dense) || dense) break;
  }
  const float scale = b.scale(0, w.sample);
  multiply<V>(b.proj.matrix, dim, dim, k.attended, [&](int row, int v, vf sum) {
    const int at = row * kTokens + v * kLanes;
    store(k.x1 + at, load(k.x + at) + (sum + b.at.proj_bias[row]) * scale);
  });
  normalise<V>(k.x1, dim, b.at.norm2, b.at.norm2_bias, k.y1, k.mean2, k.inverse2);
  multiply<V>(b.fc1.matrix, b.hidden, dim, k.y1, [&](int row, int v, vf sum) {
    const int at = row * kTokens + v * kLanes;
    const vf h = sum + b.at.fc1_bias[row];
    store(k.h + at, h);
    store(k.act + at, h * normal_share(h));
  });
}

template <int V>
void forward(const Block& b, const Window& w, const Biases& biases, Attention attention, Work& k,
             const float* x, float* out) {
  w.read(x, b.grid.dim, k.x);
  until_mlp<V>(b, w, biases, attention, k);
  const float scale = b.scale(1, w.sample);
  multiply<V>(b.fc2.matrix, b.grid.dim, b.hidden, k.act, [&](int row, int v, vf sum) {
    float* place = k.x1 + row * kTokens + v * kLanes;
    store(place, load(place) + (sum + b.at.fc2_bias[row]) * scale);
  });
  w.write(k.x1, b.grid.dim, out);
}

}  // namespace mdn
