// Products in bfloat16, sums in float32: on the processor's matrix unit (Intel AMX) or, without one,
// by its dot products of pairs (AVX512-BF16). `halves_ready` is false on any other processor, and
// products are then in float32 throughout.
#pragma once

#include <array>
#include <vector>

#include "windows.h"

#if defined(__AVX512BF16__) && defined(__AVX512BW__)
#define MDN_HALVES 1
#include <immintrin.h>
#if defined(__AMX_BF16__) && defined(__linux__)
#define MDN_TILES 1
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace mdn {

// Depth of a product of tiles, and rows of each.
constexpr int kDepth = 32, kRows = 16;

inline int padded(int count, int to = kLanes) { return (count + to - 1) / to * to; }

// A matrix in bfloat16, [row][column], padded with zeros to whole tiles.
struct Packed {
  std::vector<uint16_t> data;
  int width = 0;

  // Of `rows` by `columns` floats, with strides.
  void fill(const float* from, int rows, int columns, int row_step, int column_step) {
    width = padded(columns, kDepth);
    data.assign(int64_t(padded(rows, kRows)) * width, 0);
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c) {
        uint32_t bits;
        std::memcpy(&bits, from + r * row_step + c * column_step, 4);
        data[r * width + c] = uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
      }
  }
};

#ifdef MDN_TILES

inline bool tiles_ready() {
  // The kernel lends the matrix unit to those who ask: arch_prctl(ARCH_REQ_XCOMP_PERM, tile data).
  static const bool ready = syscall(SYS_arch_prctl, 0x1023, 18) == 0;
  return ready;
}

// For a thread's use of the tiles, all of 16 rows of 64 bytes, while it lives.
struct Tiles {
  const bool on;
  explicit Tiles(bool wanted) : on(wanted && tiles_ready()) {
    struct alignas(64) {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t bytes[16] = {};
      uint8_t rows[16] = {};
    } config;
    for (int i = 0; i < 8; ++i) config.bytes[i] = 64, config.rows[i] = kRows;
    if (on) _tile_loadconfig(&config);
  }
  ~Tiles() {
    if (on) _tile_release();
  }
};

#else

struct Tiles {
  explicit Tiles(bool) {}
};

#endif

#ifdef MDN_HALVES

inline bool halves_ready() { return true; }

// Operands in bfloat16 of one thread: what a product's right and left sides are turned into.
struct Operands {
  alignas(64) uint32_t right[512 * kTokens];  // [pair of depth][column]
  alignas(64) uint16_t left[1024 * kTokens];  // [row][token]
  static Operands& mine() {
    static thread_local std::unique_ptr<Operands> own(new Operands());
    return *own;
  }
};

inline vi halves(vf high, vf low) { return (vi)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low); }

// y, V vectors of tokens wide, as pairs of rows; `depth` rows, then zeros up to `width`.
template <int V>
inline void pair_rows(const float* y, int depth, int width, uint32_t* right) {
  static const auto order = [] {
    alignas(64) std::array<uint16_t, 32> o;
    for (int i = 0; i < 16; ++i) o[2 * i] = i, o[2 * i + 1] = 16 + i;
    return _mm512_loadu_si512(o.data());
  }();
  for (int k = 0; k < width; k += 2)
    for (int v = 0; v < V; ++v) {
      const vf low = k < depth ? load(y + k * kTokens + v * kLanes) : vf{};
      const vf high = k + 1 < depth ? load(y + (k + 1) * kTokens + v * kLanes) : vf{};
      _mm512_store_si512(right + k / 2 * kTokens + v * kLanes,
                         _mm512_permutexvar_epi16(order, (__m512i)halves(high, low)));
    }
}

// Two vectors of a row's tokens from `first` on, those beyond `tokens` as 0.
inline vi row_halves(const float* row, int first, int tokens) {
  vf part[2];
  for (int i = 0; i < 2; ++i) {
    const int start = first + i * kLanes, count = tokens - start;
    const __mmask16 mask = count >= 16 ? 0xffff : count <= 0 ? 0 : (1u << count) - 1;
    part[i] = (vf)_mm512_maskz_loadu_ps(mask, row + start);
  }
  return halves(part[1], part[0]);
}

// The operands of a sum over tokens: left [row][token], right [pair of tokens][column].
inline void pair_tokens(const float* left, int rows, const float* right, int columns, int tokens,
                        int depth, int width, Operands& to) {
  for (int row = 0; row < padded(rows, kRows); ++row)
    for (int t = 0; t < depth; t += kDepth)
      _mm512_store_si512(to.left + row * kTokens + t,
                         row < rows ? (__m512i)row_halves(left + row * kTokens, t, tokens)
                                    : _mm512_setzero_si512());
  for (int t = 0; t < depth; t += kDepth)
    for (int c = 0; c < width; c += kLanes) {
      vf block[kLanes];
      for (int i = 0; i < kLanes; ++i)
        block[i] = c + i < columns ? (vf)row_halves(right + (c + i) * kTokens, t, tokens) : vf{};
      transpose(block);
      for (int i = 0; i < kLanes; ++i) store((float*)to.right + (t / 2 + i) * width + c, block[i]);
    }
}

// sum[r][v] += over pairs of left[r][pair] . right[pair][v]; steps in pairs, and columns of right.
template <int V, int R>
inline void dot_pairs(const uint16_t* left, int row_step, const uint32_t* right, int right_step,
                      int pairs, vf (&sum)[R][V]) {
  for (int k = 0; k < pairs; ++k) {
    __m512bh term[V];
    MDN_UNROLL for (int v = 0; v < V; ++v)
      term[v] = (__m512bh)_mm512_loadu_si512(right + k * right_step + v * kLanes);
    MDN_UNROLL for (int r = 0; r < R; ++r) {
      int32_t pair;
      std::memcpy(&pair, left + r * row_step + 2 * k, 4);
      const __m512bh weight = (__m512bh)_mm512_set1_epi32(pair);
      MDN_UNROLL for (int v = 0; v < V; ++v)
        sum[r][v] = (vf)_mm512_dpbf16_ps((__m512)sum[r][v], weight, term[v]);
    }
  }
}

template <int V, int R, class Done>
inline void some_rows(const Packed& m, int row, int pairs, const uint32_t* right, Done done) {
  vf sum[R][V] = {};
  dot_pairs<V, R>(m.data.data() + int64_t(row) * m.width, m.width, right, kTokens, pairs, sum);
  MDN_UNROLL for (int r = 0; r < R; ++r)
    MDN_UNROLL for (int v = 0; v < V; ++v) done(row + r, v, sum[r][v]);
}

template <int N, int R>
inline void some_outer(const Operands& from, int row, int c, int pairs, int width, float* to) {
  vf sum[R][N];
  MDN_UNROLL for (int r = 0; r < R; ++r)
    MDN_UNROLL for (int n = 0; n < N; ++n) sum[r][n] = load(to + (row + r) * width + c + n * kLanes);
  dot_pairs<N, R>(from.left + row * kTokens, kTokens, from.right + c, width, pairs, sum);
  MDN_UNROLL for (int r = 0; r < R; ++r)
    MDN_UNROLL for (int n = 0; n < N; ++n) store(to + (row + r) * width + c + n * kLanes, sum[r][n]);
}

template <int N>
inline void outer_columns(const Operands& from, int rows, int c, int pairs, int width, float* to) {
  constexpr int R = N > 2 ? 6 : 12;  // as many sums as there are registers
  int row = 0;
  for (; row + R <= rows; row += R) some_outer<N, R>(from, row, c, pairs, width, to);
  for (; row < rows; ++row) some_outer<N, 1>(from, row, c, pairs, width, to);
}

#else

inline bool halves_ready() { return false; }

#endif

#ifdef MDN_TILES

// The compiler does not know that tiles are loaded from memory: what was written must be there.
inline void settle() { asm volatile("" ::: "memory"); }

// Rows of m times the pairs that are in `right`.
template <int V, class Done>
inline void multiply_tiles(const Packed& m, int rows, const uint32_t* right, Done done) {
  settle();
  alignas(64) float sums[V][kRows * kLanes];
  for (int row = 0; row < rows; row += kRows) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int k = 0; k < m.width; k += kDepth) {
      const uint32_t* const b = right + k / 2 * kTokens;
      _tile_loadd(4, m.data.data() + int64_t(row) * m.width + k, m.width * 2);
      _tile_loadd(5, b, kTokens * 4);
      _tile_dpbf16ps(0, 4, 5);
      if constexpr (V > 1) {
        _tile_loadd(6, b + kLanes, kTokens * 4);
        _tile_dpbf16ps(1, 4, 6);
      }
      if constexpr (V > 2) {
        _tile_loadd(5, b + 2 * kLanes, kTokens * 4);
        _tile_dpbf16ps(2, 4, 5);
      }
      if constexpr (V > 3) {
        _tile_loadd(6, b + 3 * kLanes, kTokens * 4);
        _tile_dpbf16ps(3, 4, 6);
      }
    }
    _tile_stored(0, sums[0], 64);
    if constexpr (V > 1) {
      _tile_stored(1, sums[1], 64);
    }
    if constexpr (V > 2) {
      _tile_stored(2, sums[2], 64);
    }
    if constexpr (V > 3) {
      _tile_stored(3, sums[3], 64);
    }
    for (int r = 0; r < kRows && row + r < rows; ++r)
      MDN_UNROLL for (int v = 0; v < V; ++v) done(row + r, v, load(sums[v] + r * kLanes));
  }
}

inline void outer_tiles(const Operands& from, int rows, int depth, int width, float* to) {
  settle();
  for (int row = 0; row < rows; row += kRows)
    for (int c = 0; c < width; c += kLanes) {
      float* const at = to + int64_t(row) * width + c;
      _tile_loadd(0, at, width * 4);
      for (int t = 0; t < depth; t += kDepth) {
        _tile_loadd(1, from.left + row * kTokens + t, kTokens * 2);
        _tile_loadd(2, from.right + t / 2 * width + c, width * 4);
        _tile_dpbf16ps(0, 1, 2);
      }
      _tile_stored(0, at, width * 4);
    }
}

#endif

// done(row, v, sum) for each row of m times y, V vectors of tokens wide.
template <int V, class Done>
inline void multiply_halves(const Packed& m, int rows, int depth, const float* y, Done done) {
#ifdef MDN_HALVES
  uint32_t* const right = Operands::mine().right;
  pair_rows<V>(y, depth, m.width, right);
#ifdef MDN_TILES
  if (tiles_ready()) return multiply_tiles<V>(m, rows, right, done);
#endif
  constexpr int R = V > 2 ? 6 : 12;
  const int pairs = (depth + 1) / 2;
  int row = 0;
  for (; row + R <= rows; row += R) some_rows<V, R>(m, row, pairs, right, done);
  for (; row < rows; ++row) some_rows<V, 1>(m, row, pairs, right, done);
#endif
}

// to[row][c] += sum over tokens of left[row][token] * right[c][token]; `to` is `width` wide, its
// rows padded to whole tiles.
inline void outer_halves(const float* left, int rows, const float* right, int columns, int tokens,
                         float* to) {
#ifdef MDN_HALVES
  Operands& mine = Operands::mine();
  const int width = padded(columns), depth = padded(tokens, kDepth), pairs = (tokens + 1) / 2;
  pair_tokens(left, rows, right, columns, tokens, depth, width, mine);
#ifdef MDN_TILES
  if (tiles_ready()) return outer_tiles(mine, rows, depth, width, to);
#endif
  int c = 0;
  for (; c + 4 * kLanes <= width; c += 4 * kLanes)
    outer_columns<4>(mine, rows, c, pairs, width, to);
  for (; c < width; c += kLanes) outer_columns<1>(mine, rows, c, pairs, width, to);
#endif
}

}  // namespace mdn
