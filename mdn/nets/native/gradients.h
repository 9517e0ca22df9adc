// The gradients of the layers in `layers.h`.
#pragma once

#include "layers.h"

namespace mdn {

// Rows [row][token] to [token][row], `width` a multiple of sixteen; rows up to it must be readable.
inline void turn(const float* from, int width, int tokens, float* to) {
  for (int first = 0; first < tokens; first += kLanes)
    for (int row = 0; row < width; row += kLanes) {
      vf block[kLanes];
      MDN_UNROLL for (int i = 0; i < kLanes; ++i)
        block[i] = load(from + (row + i) * kTokens + first);
      transpose(block);
      MDN_UNROLL for (int i = 0; i < kLanes; ++i)
        store(to + (first + i) * width + row, block[i]);
    }
}

// to[row][c] += sum over tokens of left[row][token] * right[token][c].
template <int N, int R>
inline void some_outer(const float* left, const float* right, int tokens, int width, float* to) {
  vf sum[R][N];
  MDN_UNROLL for (int r = 0; r < R; ++r)
    MDN_UNROLL for (int n = 0; n < N; ++n) sum[r][n] = load(to + r * width + n * kLanes);
  for (int t = 0; t < tokens; ++t) {
    vf term[N];
    MDN_UNROLL for (int n = 0; n < N; ++n) term[n] = load(right + t * width + n * kLanes);
    MDN_UNROLL for (int r = 0; r < R; ++r) {
      const vf factor = all(left[r * kTokens + t]);
      MDN_UNROLL for (int n = 0; n < N; ++n) sum[r][n] += term[n] * factor;
    }
  }
  MDN_UNROLL for (int r = 0; r < R; ++r)
    MDN_UNROLL for (int n = 0; n < N; ++n) store(to + r * width + n * kLanes, sum[r][n]);
}

template <int N>
inline void outer(const float* left, int rows, const float* right, int tokens, int width,
                  float* to) {
  constexpr int R = N > 2 ? 6 : 12;
  int row = 0;
  for (; row + R <= rows; row += R)
    some_outer<N, R>(left + row * kTokens, right, tokens, width, to + int64_t(row) * width);
  for (; row < rows; ++row)
    some_outer<N, 1>(left + row * kTokens, right, tokens, width, to + int64_t(row) * width);
}

// sums[row][lane] += values[row], lane by lane: the lanes are added up once, at the end.
template <int V>
inline void add_rows(const float* values, int rows, float* sums) {
  for (int row = 0; row < rows; ++row)
    MDN_UNROLL for (int v = 0; v < V; ++v)
      store(sums + row * kLanes,
            load(sums + row * kLanes) + load(values + row * kTokens + v * kLanes));
}

// The gradient of LayerNorm: slope to that of x, in place; weights' and biases' by lane.
template <int V>
inline void normalise_gradient(const float* x, int dim, const float* weight, const float* mean,
                               const float* inverse, float* slope, float* weights, float* biases) {
  vf sum[V] = {}, product[V] = {}, m[V], i[V];
  MDN_UNROLL for (int v = 0; v < V; ++v) {
    m[v] = load(mean + v * kLanes);
    i[v] = load(inverse + v * kLanes);
  }
  for (int c = 0; c < dim; ++c) {
    vf by_weight = load(weights + c * kLanes), by_bias = load(biases + c * kLanes);
    MDN_UNROLL for (int v = 0; v < V; ++v) {
      const int at = c * kTokens + v * kLanes;
      const vf g = load(slope + at), normal = (load(x + at) - m[v]) * i[v];
      by_weight += g * normal;
      by_bias += g;
      sum[v] += g * weight[c];
      product[v] += g * weight[c] * normal;
    }
    store(weights + c * kLanes, by_weight);
    store(biases + c * kLanes, by_bias);
  }
  const float share = 1.0f / dim;
  for (int c = 0; c < dim; ++c)
    MDN_UNROLL for (int v = 0; v < V; ++v) {
      const int at = c * kTokens + v * kLanes;
      const vf normal = (load(x + at) - m[v]) * i[v];
      store(slope + at,
            i[v] * (load(slope + at) * weight[c] - (sum[v] + normal * product[v]) * share));
    }
}

// The gradient of one head: what comes, and what goes.
struct HeadSlopes {
  const float* grad;           // [D][token], of `Head::out`
  float *weights, *slopes;     // [packed key][query]: softmax, and the gradient of the scores
  float* bias;                 // [key][query], added to
  float* query;                // [D][token]
  float *hidden_key, *hidden_value;  // [D][lane], added to
};

// The share of the hidden keys. Adds to the gradient of the queries.
template <int D, int NV>
inline void hidden_slopes(const Head& h, const HeadSlopes& s, int first, const vf* inner,
                          vf (*query)[NV]) {
  vf each[NV], sum[NV], slope[NV];
  hidden_weights<D, NV>(h, first, each, sum);
  MDN_UNROLL for (int v = 0; v < NV; ++v) {
    const int lane = first + v * kLanes;
    each[v] *= load(h.inverse + lane);
    sum[v] *= each[v];
    slope[v] = -inner[v];
    MDN_UNROLL for (int d = 0; d < D; ++d)
      slope[v] += load(s.grad + d * kTokens + lane) * h.hidden_value[d];
    each[v] *= slope[v];
    slope[v] *= sum[v];
  }
  for (int n = 0; n < h.hiddens; ++n)
    MDN_UNROLL for (int v = 0; v < NV; ++v) {
      const int at = h.hidden[n] * kTokens + first + v * kLanes;
      store(s.bias + at, load(s.bias + at) + load(h.exp_bias + at) * each[v]);
    }
  MDN_UNROLL for (int d = 0; d < D; ++d) {
    vf key = load(s.hidden_key + d * kLanes), value = load(s.hidden_value + d * kLanes);
    MDN_UNROLL for (int v = 0; v < NV; ++v) {
      const int at = d * kTokens + first + v * kLanes;
      query[d][v] += slope[v] * h.hidden_key[d];
      key += slope[v] * load(h.query + at);
      value += sum[v] * load(s.grad + at);
    }
    store(s.hidden_key + d * kLanes, key);
    store(s.hidden_value + d * kLanes, value);
  }
}

template <int D, int NV>
void attend_slopes(const Head& h, const HeadSlopes& s, int first) {
  vf query[D][NV] = {}, inner[NV] = {};
  MDN_UNROLL for (int d = 0; d < D; ++d)
    MDN_UNROLL for (int v = 0; v < NV; ++v) {
      const int at = d * kTokens + first + v * kLanes;
      inner[v] += load(s.grad + at) * load(h.out + at);
    }
  if (h.hiddens) hidden_slopes<D, NV>(h, s, first, inner, query);
  for (int n = 0; n < h.keys; ++n) {
    vf weight[NV], slope[NV];
    scores<D, NV>(h, n, first, weight);
    MDN_UNROLL for (int v = 0; v < NV; ++v) slope[v] = -inner[v];
    MDN_UNROLL for (int d = 0; d < D; ++d) {
      const vf value = all(h.value[d * kTokens + n]);
      MDN_UNROLL for (int v = 0; v < NV; ++v)
        slope[v] += load(s.grad + d * kTokens + first + v * kLanes) * value;
    }
    MDN_UNROLL for (int v = 0; v < NV; ++v) {
      const int lane = first + v * kLanes, at = h.kept[n] * kTokens + lane;
      weight[v] = exponential(weight[v]) * load(h.inverse + lane);
      slope[v] *= weight[v];
      store(s.weights + n * kTokens + lane, weight[v]);
      store(s.slopes + n * kTokens + lane, slope[v]);
      store(s.bias + at, load(s.bias + at) + slope[v]);
    }
    MDN_UNROLL for (int d = 0; d < D; ++d) {
      const vf key = all(h.key[d * kTokens + n]);
      MDN_UNROLL for (int v = 0; v < NV; ++v) query[d][v] += slope[v] * key;
    }
  }
  MDN_UNROLL for (int d = 0; d < D; ++d)
    MDN_UNROLL for (int v = 0; v < NV; ++v)
      store(s.query + d * kTokens + first + v * kLanes, query[d][v]);
}

// to[d][key] = sum over queries of weights[key][query] * terms[query][d], R keys at a time.
template <int D>
void gather(const float* weights, const float* terms, int keys, int queries, float* to) {
  constexpr int N = (D + kLanes - 1) / kLanes, R = 8;
  for (int j = 0; j < keys; j += R) {
    vf sum[R][N] = {};
    for (int i = 0; i < queries; ++i)
      MDN_UNROLL for (int n = 0; n < N; ++n) {
        const vf term = load(terms + (i * N + n) * kLanes);
        MDN_UNROLL for (int r = 0; r < R; ++r) sum[r][n] += term * weights[(j + r) * kTokens + i];
      }
    alignas(64) float rows[R][N * kLanes];
    MDN_UNROLL for (int r = 0; r < R; ++r)
      MDN_UNROLL for (int n = 0; n < N; ++n) store(rows[r] + n * kLanes, sum[r][n]);
    for (int d = 0; d < D; ++d)
      for (int r = 0; r < R; ++r) to[d * kTokens + j + r] = rows[r][d];
  }
}

}  // namespace mdn
