// The layers of a block on buffers [channel][token]: products with a matrix, LayerNorm, attention.
#pragma once

#include <cmath>
#include <type_traits>

#include "halves.h"

namespace mdn {

// Sums of exponentials so far from the ends of float32 that no term of weight is lost.
constexpr float kLow = 1e-20f, kHigh = 1e20f;
// A bias beyond it is added to the score before the exponential, never multiplied after.
constexpr float kPlainBias = 20.0f;

// A matrix (rows, depth) or its transpose, as strides; and in bfloat16, or null.
struct Matrix {
  const float* data;
  int row, column;
  const Packed* packed;
};

template <int V, int R, class Done>
inline void some_rows(Matrix m, int row, int depth, const float* y, Done done) {
  vf sum[R][V] = {};
  const float* p = m.data + int64_t(row) * m.row;
  for (int k = 0; k < depth; ++k) {
    vf term[V];
    MDN_UNROLL for (int v = 0; v < V; ++v) term[v] = load(y + k * kTokens + v * kLanes);
    MDN_UNROLL for (int r = 0; r < R; ++r) {
      const vf weight = all(p[r * m.row + k * m.column]);
      MDN_UNROLL for (int v = 0; v < V; ++v) sum[r][v] += term[v] * weight;
    }
  }
  MDN_UNROLL for (int r = 0; r < R; ++r)
    MDN_UNROLL for (int v = 0; v < V; ++v) done(row + r, v, sum[r][v]);
}

// done(row, v, sum) for each row of m times y, V vectors of tokens wide.
template <int V, class Done>
inline void multiply(Matrix m, int rows, int depth, const float* y, Done done) {
  if (m.packed) return multiply_halves<V>(*m.packed, rows, depth, y, done);
  constexpr int R = V > 2 ? 6 : 12;  // as many sums as there are registers
  int row = 0;
  for (; row + R <= rows; row += R) some_rows<V, R>(m, row, depth, y, done);
  for (; row + 4 <= rows; row += 4) some_rows<V, 4>(m, row, depth, y, done);
  for (; row < rows; ++row) some_rows<V, 1>(m, row, depth, y, done);
}

// y = LayerNorm(x), and what its gradient needs: mean and 1 / deviation, [token].
template <int V>
inline void normalise(const float* x, int dim, const float* weight, const float* bias, float* y,
                      float* mean, float* inverse) {
  vf sum[V] = {}, squares[V] = {};
  for (int c = 0; c < dim; ++c)
    MDN_UNROLL for (int v = 0; v < V; ++v) sum[v] += load(x + c * kTokens + v * kLanes);
  MDN_UNROLL for (int v = 0; v < V; ++v) sum[v] *= 1.0f / dim;
  for (int c = 0; c < dim; ++c)
    MDN_UNROLL for (int v = 0; v < V; ++v) {
      const vf off = load(x + c * kTokens + v * kLanes) - sum[v];
      squares[v] += off * off;
    }
  MDN_UNROLL for (int v = 0; v < V; ++v) {
    store(mean + v * kLanes, sum[v]);
    store(inverse + v * kLanes, squares[v]);
  }
  // On floats in memory: lane by lane out of a vector it would take longer than all the rest.
  for (int i = 0; i < V * kLanes; ++i) inverse[i] = 1.0f / std::sqrt(inverse[i] / dim + 1e-5f);
  MDN_UNROLL for (int v = 0; v < V; ++v) squares[v] = load(inverse + v * kLanes);
  for (int c = 0; c < dim; ++c)
    MDN_UNROLL for (int v = 0; v < V; ++v)
      store(y + c * kTokens + v * kLanes,
            (load(x + c * kTokens + v * kLanes) - sum[v]) * squares[v] * weight[c] + bias[c]);
}

// One head of one window. Lanes are queries and the loops run over keys: the softmax needs no sum
// across lanes, and no score leaves the registers.
struct Head {
  const float *query, *key, *value;  // [D][token]; queries in raster order and scaled, keys packed
  const int *kept, *hidden;          // raster place of each packed key; those the mask hides
  int keys, hiddens;
  const float *hidden_key, *hidden_value;  // [D], the same for all hidden tokens
  const float *bias, *exp_bias;            // [key][query], raster order; the latter exp of the former
  float *out, *inverse, *top;              // [D][token]; [token]: 1 / sum of weights; highest score
};

// What hidden keys weigh: exp(q . k + b) = exp(q . k) exp(b), and k is one for all. `each` is the
// former, `sum` the sum of the latter over the keys.
template <int D, int NV>
inline void hidden_weights(const Head& h, int first, vf* each, vf* sum) {
  vf score[NV] = {};
  MDN_UNROLL for (int v = 0; v < NV; ++v) sum[v] = each[v] = vf{};
  if (!h.hiddens) return;
  for (int n = 0; n < h.hiddens; ++n)
    MDN_UNROLL for (int v = 0; v < NV; ++v)
      sum[v] += load(h.exp_bias + h.hidden[n] * kTokens + first + v * kLanes);
  MDN_UNROLL for (int d = 0; d < D; ++d)
    MDN_UNROLL for (int v = 0; v < NV; ++v)
      score[v] += load(h.query + d * kTokens + first + v * kLanes) * h.hidden_key[d];
  MDN_UNROLL for (int v = 0; v < NV; ++v) each[v] = exponential(score[v]);
}

template <int D, int NV>
inline void scores(const Head& h, int n, int first, vf* s) {
  MDN_UNROLL for (int v = 0; v < NV; ++v)
    s[v] = load(h.bias + h.kept[n] * kTokens + first + v * kLanes) -
           load(h.top + first + v * kLanes);
  MDN_UNROLL for (int d = 0; d < D; ++d) {
    const vf key = all(h.key[d * kTokens + n]);
    MDN_UNROLL for (int v = 0; v < NV; ++v)
      s[v] += load(h.query + d * kTokens + first + v * kLanes) * key;
  }
}

// Marks in `extreme` the lanes where a sum of exponentials came near the ends of float32.
template <int D, int NV>
void attend(const Head& h, int first, vi& extreme) {
  vf each[NV], sum[NV], out[D][NV];
  hidden_weights<D, NV>(h, first, each, sum);
  MDN_UNROLL for (int v = 0; v < NV; ++v) sum[v] *= each[v];
  MDN_UNROLL for (int d = 0; d < D; ++d)
    MDN_UNROLL for (int v = 0; v < NV; ++v)
      out[d][v] = h.hiddens ? sum[v] * h.hidden_value[d] : vf{};
  for (int n = 0; n < h.keys; ++n) {
    vf s[NV];
    scores<D, NV>(h, n, first, s);
    MDN_UNROLL for (int v = 0; v < NV; ++v) {
      s[v] = exponential(s[v]);
      sum[v] += s[v];
    }
    MDN_UNROLL for (int d = 0; d < D; ++d) {
      const vf value = all(h.value[d * kTokens + n]);
      MDN_UNROLL for (int v = 0; v < NV; ++v) out[d][v] += s[v] * value;
    }
  }
  MDN_UNROLL for (int v = 0; v < NV; ++v) {
    const int lane = first + v * kLanes;
    extreme |= (sum[v] < all(kLow)) | (sum[v] > all(kHigh));
    const vf inverse = 1.0f / sum[v];
    store(h.inverse + lane, inverse);
    MDN_UNROLL for (int d = 0; d < D; ++d) store(h.out + d * kTokens + lane, out[d][v] * inverse);
  }
}

template <int D>
void highest(const Head& h, int first) {
  store(h.top + first, vf{});
  vf best = all(-1e30f);
  for (int n = 0; n < h.keys; ++n) {
    vf s[1];
    scores<D, 1>(h, n, first, s);
    best = s[0] > best ? s[0] : best;
  }
  store(h.top + first, best);
}

}  // namespace mdn
