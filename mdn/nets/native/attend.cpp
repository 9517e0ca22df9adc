// Window attention of Swin, forward and backward, for one processor's vectors and caches.
//
// Lanes are queries and the loops run over keys, so that the softmax needs no sum across lanes, the
// scores never leave the registers in the forward pass, and only one window's of one head, 16 kB,
// lie in the cache in the backward pass. Queries, keys and values are read in raster order from
// (B, H, W, 3 * heads * d), where the windows lie, whole or clipped by the edge of the picture.
//
// Built by `mdn.nets.native` with the compiler at hand and -march=native; plain C through ctypes.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

// Loops that must be unrolled whole, so that the sums in them stay in registers.
#define MDN_UNROLL _Pragma("GCC unroll 32")

namespace {

constexpr int kLanes = 16;
constexpr int kMaxArea = 64;
// Sums of exponentials so far from the ends of float32 that no term of weight is lost.
constexpr float kLow = 1e-20f, kHigh = 1e20f;

typedef float vf __attribute__((vector_size(4 * kLanes)));
typedef int32_t vi __attribute__((vector_size(4 * kLanes)));

inline vf all(float x) { return x - vf{}; }
inline vf load(const float* p) { return *reinterpret_cast<const vf*>(p); }
inline void store(float* p, vf x) { *reinterpret_cast<vf*>(p) = x; }

// exp to 2 units in the last place: 2^n by the exponent's bits, the rest by its Taylor polynomial.
inline vf exponential(vf x) {
  x = x < all(-87.0f) ? all(-87.0f) : x;
  x = x > all(88.0f) ? all(88.0f) : x;
  const vf magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const vf shifted = x * 1.44269504f + magic;
  const vf n = shifted - magic;
  const vf r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  vf y = all(1.9875691500e-4f);
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  const vi bits = ((vi)shifted - (vi)magic) << 23;
  return (vf)((vi)y + bits);
}

struct bf16 {
  uint16_t bits;
};
inline float get(float x) { return x; }
inline float get(bf16 x) {
  const uint32_t bits = uint32_t(x.bits) << 16;
  float y;
  std::memcpy(&y, &bits, 4);
  return y;
}
inline void put(float* p, float x) { *p = x; }
inline void put(bf16* p, float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  p->bits = uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

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
  int batch, heads, size, window;
  Axis down, across;
  int windows() const { return batch * down.spans() * across.spans(); }
};

struct Window {
  int sample, top, left, rows, columns;
  Window(const Grid& g, int index) {
    const int across = g.across.spans(), down = g.down.spans();
    const int x = index % across, y = index / across % down;
    sample = index / (across * down);
    top = g.down.begin(y), rows = g.down.end(y) - top;
    left = g.across.begin(x), columns = g.across.end(x) - left;
  }
  int area() const { return rows * columns; }
  int64_t token(const Grid& g, int i) const {
    const int64_t row = int64_t(sample) * g.down.length + top + i / columns;
    return row * g.across.length + left + i % columns;
  }
};

// The relative bias, (heads, window, window, window, window), for each shape of window, turned to
// [head][key][query] and padded with what leaves no weight.
struct Biases {
  const Grid g;
  std::vector<float> tables[4];
  explicit Biases(const Grid& grid) : g(grid) {}
  int kind(const Window& w) const {
    return (w.rows < g.down.cell ? 2 : 0) + (w.columns < g.across.cell ? 1 : 0);
  }
  float* at(std::vector<float>& t, int head) {
    return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(t.data()) + 63) & ~uintptr_t(63)) +
           head * kMaxArea * kMaxArea;
  }
  void allocate() {
    for (auto& table : tables) table.assign(g.heads * kMaxArea * kMaxArea + kLanes, 0.0f);
  }
  template <class Visit>
  void each(Visit visit) {
    for (int kind = 0; kind < 4; ++kind) {
      const int rows = kind & 2 ? g.down.shift : g.down.cell, w = g.window;
      const int columns = kind & 1 ? g.across.shift : g.across.cell;
      for (int head = 0; head < g.heads; ++head) {
        float* table = at(tables[kind], head);
        for (int j = 0; j < rows * columns; ++j)
          for (int i = 0; i < rows * columns; ++i) {
            const int query = i / columns * w + i % columns, key = j / columns * w + j % columns;
            visit(table[j * kMaxArea + i], (int64_t(head) * w * w + query) * w * w + key);
          }
      }
    }
  }
};

template <int D>
struct Head {
  alignas(64) float query_t[D][kMaxArea], grad_t[D][kMaxArea], out_t[D][kMaxArea];
  alignas(64) float query[kMaxArea][kLanes * ((D + 15) / 16)], grad[kMaxArea][kLanes * ((D + 15) / 16)];
  alignas(64) float key[kMaxArea][D], value[kMaxArea][D];
  alignas(64) float scores[kMaxArea][kMaxArea], slopes[kMaxArea][kMaxArea];
  alignas(64) float log_sum[kMaxArea], inner[kMaxArea];
};

template <int D, class T>
void read(const Grid& g, const Window& w, const T* qkv, int head, Head<D>& h, bool rows) {
  const int dim = g.heads * D, area = w.area();
  const float scale = 1.0f / std::sqrt(float(D));
  for (int i = 0; i < area; ++i) {
    const T* p = qkv + w.token(g, i) * 3 * dim + head * D;
    float query[D];
    for (int d = 0; d < D; ++d) query[d] = get(p[d]) * scale;
    MDN_UNROLL for (int d = 0; d < D; ++d) h.query_t[d][i] = query[d];
    if (rows) std::memcpy(h.query[i], query, sizeof query);
    for (int d = 0; d < D; ++d) h.key[i][d] = get(p[dim + d]);
    for (int d = 0; d < D; ++d) h.value[i][d] = get(p[2 * dim + d]);
  }
}

// NV vectors of queries, from lane `first`, against all keys.
template <int D, int NV>
bool forward(Head<D>& h, const float* bias, int area, int first, const float* top) {
  vf sum[NV] = {}, out[D][NV] = {};
  for (int j = 0; j < area; ++j) {
    vf s[NV];
    MDN_UNROLL for (int v = 0; v < NV; ++v) {
      const int lane = first + v * kLanes;
      s[v] = load(bias + j * kMaxArea + lane) - (top ? load(top + lane) : vf{});
    }
    MDN_UNROLL for (int d = 0; d < D; ++d) {
      const vf key = all(h.key[j][d]);
      MDN_UNROLL for (int v = 0; v < NV; ++v) s[v] += load(h.query_t[d] + first + v * kLanes) * key;
    }
    MDN_UNROLL for (int v = 0; v < NV; ++v) {
      s[v] = exponential(s[v]);
      sum[v] += s[v];
    }
    MDN_UNROLL for (int d = 0; d < D; ++d) {
      const vf value = all(h.value[j][d]);
      MDN_UNROLL for (int v = 0; v < NV; ++v) out[d][v] += s[v] * value;
    }
  }
  bool fine = true;
  MDN_UNROLL for (int v = 0; v < NV; ++v) {
    const int lane = first + v * kLanes;
    MDN_UNROLL for (int d = 0; d < D; ++d) store(h.out_t[d] + lane, out[d][v] / sum[v]);
    for (int l = 0; l < kLanes && lane + l < area; ++l) {
      fine = fine && sum[v][l] > kLow && sum[v][l] < kHigh;
      h.log_sum[lane + l] = std::log(sum[v][l]) + (top ? top[lane + l] : 0.0f);
    }
  }
  return fine;
}

template <int D>
void highest(const Head<D>& h, const float* bias, int area, int first, float* top) {
  vf best = all(-1e30f);
  for (int j = 0; j < area; ++j) {
    vf s = load(bias + j * kMaxArea + first);
    for (int d = 0; d < D; ++d) s += load(h.query_t[d] + first) * h.key[j][d];
    best = s > best ? s : best;
  }
  store(top + first, best);
}

template <int D, class T>
void forward_window(const Grid& g, const Window& w, const T* qkv, Biases& biases, T* out,
                    float* log_sums, Head<D>& h) {
  constexpr int NV = D <= 10 ? 2 : 1;
  const int area = w.area(), dim = g.heads * D;
  for (int head = 0; head < g.heads; ++head) {
    const float* bias = biases.at(biases.tables[biases.kind(w)], head);
    read(g, w, qkv, head, h, false);
    for (int first = 0; first < area; first += NV * kLanes)
      if (!forward<D, NV>(h, bias, area, first, nullptr)) {
        alignas(64) float top[kMaxArea];
        for (int v = 0; v < NV; ++v) highest(h, bias, area, first + v * kLanes, top);
        forward<D, NV>(h, bias, area, first, top);
      }
    for (int i = 0; i < area; ++i) {
      const int64_t token = w.token(g, i);
      float row[D];
      MDN_UNROLL for (int d = 0; d < D; ++d) row[d] = h.out_t[d][i];
      for (int d = 0; d < D; ++d) put(out + token * dim + head * D + d, row[d]);
      if (log_sums) log_sums[token * g.heads + head] = h.log_sum[i];
    }
  }
}

// Weights and their slopes, [key][query]; the gradient of the queries; that of the bias.
template <int D, int NV>
void slopes(Head<D>& h, const float* bias, float* bias_grad, int area, int first) {
  vf query_grad[D][NV] = {};
  for (int j = 0; j < area; ++j) {
    vf s[NV], slope[NV];
    MDN_UNROLL for (int v = 0; v < NV; ++v) {
      const int lane = first + v * kLanes;
      s[v] = load(bias + j * kMaxArea + lane) - load(h.log_sum + lane);
      slope[v] = -load(h.inner + lane);
    }
    MDN_UNROLL for (int d = 0; d < D; ++d) {
      const vf key = all(h.key[j][d]), value = all(h.value[j][d]);
      MDN_UNROLL for (int v = 0; v < NV; ++v) {
        const int lane = first + v * kLanes;
        s[v] += load(h.query_t[d] + lane) * key;
        slope[v] += load(h.grad_t[d] + lane) * value;
      }
    }
    MDN_UNROLL for (int v = 0; v < NV; ++v) {
      const int lane = first + v * kLanes;
      s[v] = exponential(s[v]);
      slope[v] *= s[v];
      store(h.scores[j] + lane, s[v]);
      store(h.slopes[j] + lane, slope[v]);
      store(bias_grad + j * kMaxArea + lane, load(bias_grad + j * kMaxArea + lane) + slope[v]);
    }
    MDN_UNROLL for (int d = 0; d < D; ++d) {
      const vf key = all(h.key[j][d]);
      MDN_UNROLL for (int v = 0; v < NV; ++v) query_grad[d][v] += slope[v] * key;
    }
  }
  MDN_UNROLL for (int v = 0; v < NV; ++v)
    MDN_UNROLL for (int d = 0; d < D; ++d)
      store(h.out_t[d] + first + v * kLanes, query_grad[d][v]);
}

// rows[j] = sum over i of weights[j][i] * terms[i], R rows at a time.
template <int D, int R>
void mix(const float (*weights)[kMaxArea], const float (*terms)[kLanes * ((D + 15) / 16)], int area,
         int j, float (*rows)[kLanes * ((D + 15) / 16)]) {
  constexpr int N = (D + 15) / 16;
  vf sum[R][N] = {};
  for (int i = 0; i < area; ++i)
    MDN_UNROLL for (int n = 0; n < N; ++n) {
      const vf term = load(terms[i] + n * kLanes);
      MDN_UNROLL for (int r = 0; r < R; ++r) sum[r][n] += term * weights[j + r][i];
    }
  MDN_UNROLL for (int r = 0; r < R; ++r)
    MDN_UNROLL for (int n = 0; n < N; ++n) store(rows[r] + n * kLanes, sum[r][n]);
}

template <int D, class T>
void backward_window(const Grid& g, const Window& w, const T* qkv, Biases& biases, const T* out,
                     const float* log_sums, const T* grad, T* grad_qkv, Biases& bias_grads,
                     Head<D>& h) {
  constexpr int NV = D <= 10 ? 2 : 1, R = 8;
  const int area = w.area(), dim = g.heads * D, kind = biases.kind(w);
  const float scale = 1.0f / std::sqrt(float(D));
  for (int head = 0; head < g.heads; ++head) {
    read(g, w, qkv, head, h, true);
    for (int i = 0; i < area; ++i) {
      const int64_t token = w.token(g, i);
      const T *p = grad + token * dim + head * D, *o = out + token * dim + head * D;
      float inner = 0, row[D], other[D];
      for (int d = 0; d < D; ++d) row[d] = get(p[d]);
      for (int d = 0; d < D; ++d) other[d] = get(o[d]) * row[d];
      std::memcpy(h.grad[i], row, sizeof row);
      MDN_UNROLL for (int d = 0; d < D; ++d) {
        h.grad_t[d][i] = row[d];
        inner += other[d];
      }
      h.inner[i] = inner;
      h.log_sum[i] = log_sums[token * g.heads + head];
    }
    for (int i = area; i < kMaxArea; ++i) h.inner[i] = h.log_sum[i] = 0;
    for (int first = 0; first < area; first += NV * kLanes)
      slopes<D, NV>(h, biases.at(biases.tables[kind], head),
                    bias_grads.at(bias_grads.tables[kind], head), area, first);
    for (int j = 0; j < area; j += R) {
      alignas(64) float key_grad[R][kLanes * ((D + 15) / 16)],
          value_grad[R][kLanes * ((D + 15) / 16)];
      mix<D, R>(h.slopes, h.query, area, j, key_grad);
      mix<D, R>(h.scores, h.grad, area, j, value_grad);
      for (int r = 0; r < R && j + r < area; ++r) {
        T* p = grad_qkv + w.token(g, j + r) * 3 * dim + head * D;
        float row[D];
        MDN_UNROLL for (int d = 0; d < D; ++d) row[d] = h.out_t[d][j + r] * scale;
        for (int d = 0; d < D; ++d) put(p + d, row[d]);
        for (int d = 0; d < D; ++d) put(p + dim + d, key_grad[r][d]);
        for (int d = 0; d < D; ++d) put(p + 2 * dim + d, value_grad[r][d]);
      }
    }
  }
}

template <int D, class T>
void forward_all(const Grid& g, const T* qkv, const float* bias, T* out, float* log_sums,
                 int threads) {
  Biases biases(g);
  biases.allocate();
  biases.each([&](float& x, int64_t place) { x = bias[place]; });
  const int windows = g.windows();
#pragma omp parallel num_threads(threads)
  {
    Head<D>* h = new Head<D>();
#pragma omp for
    for (int i = 0; i < windows; ++i)
      forward_window<D, T>(g, Window(g, i), qkv, biases, out, log_sums, *h);
    delete h;
  }
}

template <int D, class T>
void backward_all(const Grid& g, const T* qkv, const float* bias, const T* out,
                  const float* log_sums, const T* grad, T* grad_qkv, float* bias_grad,
                  int threads) {
  Biases biases(g);
  biases.allocate();
  biases.each([&](float& x, int64_t place) { x = bias[place]; });
  const int windows = g.windows();
#pragma omp parallel num_threads(threads)
  {
    Head<D>* h = new Head<D>();
    Biases own(g);
    own.allocate();
#pragma omp for
    for (int i = 0; i < windows; ++i)
      backward_window<D, T>(g, Window(g, i), qkv, biases, out, log_sums, grad, grad_qkv, own, *h);
#pragma omp critical
    own.each([&](float& x, int64_t place) { bias_grad[place] += x; });
    delete h;
  }
}

// Calls `run` with the size of a head as a constant: all loops over it are then unrolled.
template <class Run>
int by_size(int size, Run run) {
  switch (size) {
    case 4: run(std::integral_constant<int, 4>()); return 0;
    case 8: run(std::integral_constant<int, 8>()); return 0;
    case 10: run(std::integral_constant<int, 10>()); return 0;
    case 16: run(std::integral_constant<int, 16>()); return 0;
    case 30: run(std::integral_constant<int, 30>()); return 0;
    case 32: run(std::integral_constant<int, 32>()); return 0;
    default: return 1;
  }
}

// (batch, heads, size, window, height, cell, shift, width, cell, shift)
Grid grid(const int* n) {
  return {n[0], n[1], n[2], n[3], {n[4], n[5], n[6]}, {n[7], n[8], n[9]}};
}

}  // namespace

extern "C" int mdn_attend(const int* shape, int half, const void* qkv, const float* bias, void* out,
                          float* log_sums, int threads) {
  const Grid g = grid(shape);
  return by_size(g.size, [&](auto size) {
    if (half)
      forward_all<size.value>(g, (const bf16*)qkv, bias, (bf16*)out, log_sums, threads);
    else
      forward_all<size.value>(g, (const float*)qkv, bias, (float*)out, log_sums, threads);
  });
}

extern "C" int mdn_attend_gradient(const int* shape, int half, const void* qkv, const float* bias,
                                   const void* out, const float* log_sums, const void* grad,
                                   void* grad_qkv, float* bias_grad, int threads) {
  const Grid g = grid(shape);
  return by_size(g.size, [&](auto size) {
    if (half)
      backward_all<size.value>(g, (const bf16*)qkv, bias, (const bf16*)out, log_sums,
                               (const bf16*)grad, (bf16*)grad_qkv, bias_grad, threads);
    else
      backward_all<size.value>(g, (const float*)qkv, bias, (const float*)out, log_sums,
                               (const float*)grad, (float*)grad_qkv, bias_grad, threads);
  });
}
