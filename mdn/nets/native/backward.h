// The gradient of a block in one window. What the forward pass computed is computed again, in the
// cache: to fetch it from memory would take longer.
#pragma once

#include "forward.h"
#include "gradients.h"

namespace mdn {

// Of one thread: the sums over its windows of the gradients of the parameters, and buffers.
struct Slopes {
  // Matrices [padded(row)][padded(column)]; vectors [row][lane]; the relative bias as in `Biases`.
  Floats norm1, norm1_bias, qkv, qkv_bias, bias, proj, proj_bias;
  Floats norm2, norm2_bias, fc1, fc1_bias, fc2, fc2_bias;
  Floats out, branch, attended, inner_qkv, query, h, turned, turned_grad, weights, scores;

  explicit Slopes(const Block& b) : Slopes(b.grid.dim, b.hidden, b.heads) {}
  Slopes(int dim, int hidden, int heads)
      : norm1(dim * kLanes), norm1_bias(norm1.size()), qkv(padded(3 * dim) * padded(dim)),
        qkv_bias(3 * norm1.size()), bias(4 * int64_t(heads) * kTokens * kTokens),
        proj(padded(dim) * padded(dim)), proj_bias(norm1.size()), norm2(norm1.size()),
        norm2_bias(norm1.size()), fc1(padded(hidden) * padded(dim)), fc1_bias(hidden * kLanes),
        fc2(padded(dim) * padded(hidden)), fc2_bias(norm1.size()), out(Work::rows(dim)),
        branch(out.size()), attended(out.size()), inner_qkv(3 * out.size()), query(out.size()),
        h(Work::rows(hidden)), turned(kTokens * padded(dim > hidden ? dim : hidden)),
        turned_grad(kTokens * padded(dim)), weights(kTokens * kTokens), scores(weights.size()) {}

  // Adds the sums to `to`.
  void add_to(const Block& b, const Parameters& to) const {
    const int dim = b.grid.dim;
    matrix(norm1, dim, to.norm1), matrix(norm1_bias, dim, to.norm1_bias);
    matrix(norm2, dim, to.norm2), matrix(norm2_bias, dim, to.norm2_bias);
    matrix(qkv_bias, 3 * dim, to.qkv_bias), matrix(proj_bias, dim, to.proj_bias);
    matrix(fc1_bias, b.hidden, to.fc1_bias), matrix(fc2_bias, dim, to.fc2_bias);
    matrix(qkv, 3 * dim, to.qkv, dim), matrix(proj, dim, to.proj, dim);
    matrix(fc1, b.hidden, to.fc1, dim), matrix(fc2, dim, to.fc2, b.hidden);
    Biases::each(b, [&](int64_t at, int64_t place) { to.bias[place] += bias[at]; });
  }

 private:
  static void matrix(const float* from, int rows, float* to) {
    for (int row = 0; row < rows; ++row) to[row] += total(load(from + row * kLanes));
  }
  static void matrix(const float* from, int rows, float* to, int columns) {
    for (int row = 0; row < rows; ++row)
      for (int c = 0; c < columns; ++c) to[row * columns + c] += from[row * padded(columns) + c];
  }
};

// to += left right^T over `tokens` tokens; left (rows), right (columns).
inline void add_outer(const Block& b, Slopes& s, const float* left, int rows, const float* right, int columns,
                      int tokens, float* to) {
  if (b.half) return outer_halves(left, rows, right, columns, tokens, to);
  const int width = padded(columns);
  turn(right, width, tokens, s.turned);
  for (int first = 0; first < width; first += 4 * kLanes) {
    const int left_over = (width - first) / kLanes;
    by_vectors(left_over < 4 ? left_over : 4, [&](auto N) {
      outer<N>(left, rows, s.turned + first, tokens, width, to + first);
    });
  }
}

template <int D>
void attend_gradient(const Block& b, const Window& w, const Biases& biases, Work& k, Slopes& s) {
  constexpr int NV = D <= 10 ? 2 : 1, width = (D + kLanes - 1) / kLanes * kLanes;
  const int dim = b.grid.dim;
  const float scale = b.query_scale();
  for (int index = 0; index < b.heads; ++index) {
    const Head h = k.head(b, biases, w.kind, index);
    const int row = index * D;
    float* const key_bias = s.qkv_bias + (dim + row) * kLanes;
    const HeadSlopes grads = {s.attended + row * kTokens, s.weights, s.scores,
                              s.bias + Biases::place(b.heads, w.kind, index),
                              s.query + row * kTokens, key_bias, key_bias + dim * kLanes};
    int first = 0;
    for (; first + NV * kLanes <= w.vectors() * kLanes; first += NV * kLanes)
      attend_slopes<D, NV>(h, grads, first);
    for (; first < w.area; first += kLanes) attend_slopes<D, 1>(h, grads, first);
    turn(h.query, width, w.area, s.turned);
    turn(grads.grad, width, w.area, s.turned_grad);
    float* const key = s.inner_qkv + (dim + row) * kTokens;
    gather<D>(s.scores, s.turned, k.keys, w.area, key);
    gather<D>(s.weights, s.turned_grad, k.keys, w.area, key + dim * kTokens);
  }
  for (int c = 0; c < dim * kTokens; c += kLanes) store(s.query + c, load(s.query + c) * scale);
}

using AttentionGradient = void (*)(const Block&, const Window&, const Biases&, Work&, Slopes&);

// s.branch, the gradient of the MLP's output, to that of the tokens before it.
template <int V>
void mlp_gradient(const Block& b, const Window& w, Work& k, Slopes& s) {
  const int dim = b.grid.dim, hidden = b.hidden;
  add_rows<V>(s.branch, dim, s.fc2_bias);
  add_outer(b, s, s.branch, dim, k.act, hidden, w.area, s.fc2);
  multiply<V>(b.fc2.turned, hidden, dim, s.branch, [&](int row, int v, vf sum) {
    const int at = row * kTokens + v * kLanes;
    const vf h = load(k.h + at);
    store(s.h + at, sum * (normal_share(h) + h * normal_density(h)));
  });
  add_rows<V>(s.h, hidden, s.fc1_bias);
  add_outer(b, s, s.h, hidden, k.y1, dim, w.area, s.fc1);
  multiply<V>(b.fc1.turned, dim, hidden, s.h, [&](int row, int v, vf sum) {
    store(s.branch + row * kTokens + v * kLanes, sum);
  });
  normalise_gradient<V>(k.x1, dim, b.at.norm2, k.mean2, k.inverse2, s.branch, s.norm2,
                        s.norm2_bias);
}

// From s.inner_qkv and s.query to the gradient of the kept tokens, added to s.out.
inline void project_gradient(const Block& b, const Window& w, Work& k, Slopes& s) {
  const int dim = b.grid.dim;
  for (int c = 0; c < dim; ++c)
    for (int n = 0; n < k.keys; ++n)
      s.inner_qkv[c * kTokens + n] = s.query[c * kTokens + k.kept[n]];
  // Lanes beyond the kept tokens hold what another window left.
  for (int c = 0; c < 3 * dim; ++c)
    for (int n = k.keys; n < k.vectors() * kLanes; ++n) s.inner_qkv[c * kTokens + n] = 0;
  by_vectors(w.vectors(), [&](auto V) { add_rows<V>(s.query, dim, s.qkv_bias); });
  by_vectors(k.vectors(), [&](auto V) {
    add_rows<V>(s.inner_qkv + dim * kTokens, 2 * dim, s.qkv_bias + dim * kLanes);
    add_outer(b, s, s.inner_qkv, 3 * dim, k.y, dim, k.keys, s.qkv);
    multiply<V>(b.qkv.turned, dim, 3 * dim, s.inner_qkv, [&](int row, int v, vf sum) {
      store(s.branch + row * kTokens + v * kLanes, sum);
    });
    if (b.keep)
      for (int n = 0; n < k.keys; ++n)
        if (!b.keep[w.tokens[k.kept[n]]])
          for (int c = 0; c < dim; ++c) s.branch[c * kTokens + n] = 0;
    normalise_gradient<V>(k.packed, dim, b.at.norm1, k.mean1, k.inverse1, s.branch, s.norm1,
                          s.norm1_bias);
  });
  for (int c = 0; c < dim; ++c)
    for (int n = 0; n < k.keys; ++n)
      s.out[c * kTokens + k.kept[n]] += s.branch[c * kTokens + n];
}

template <int V>
void backward(const Block& b, const Window& w, const Biases& biases, Attention attention,
              AttentionGradient gradient, Work& k, Slopes& s, const float* x, const float* grad,
              float* grad_x) {
  const int dim = b.grid.dim, size = dim * kTokens;
  w.read(x, dim, k.x);
  w.read(grad, dim, s.out);
  until_mlp<V>(b, w, biases, attention, k);
  const float second = b.scale(1, w.sample), first = b.scale(0, w.sample);
  for (int i = 0; i < size; i += kLanes) store(s.branch + i, load(s.out + i) * second);
  mlp_gradient<V>(b, w, k, s);
  for (int i = 0; i < size; i += kLanes) {
    store(s.out + i, load(s.out + i) + load(s.branch + i));
    store(s.branch + i, load(s.out + i) * first);
  }
  add_rows<V>(s.branch, dim, s.proj_bias);
  add_outer(b, s, s.branch, dim, k.attended, dim, w.area, s.proj);
  multiply<V>(b.proj.turned, dim, dim, s.branch, [&](int row, int v, vf sum) {
    store(s.attended + row * kTokens + v * kLanes, sum);
  });
  gradient(b, w, biases, k, s);
  project_gradient(b, w, k, s);
  w.write(s.out, dim, grad_x);
}

}  // namespace mdn
