// Sixteen float32 at a time, in the compiler's own vector types: the widest the processor has.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

// Loops that must be unrolled whole, so that the sums in them stay in registers.
#define MDN_UNROLL _Pragma("GCC unroll 32")

namespace mdn {

constexpr int kLanes = 16;

typedef float vf __attribute__((vector_size(4 * kLanes)));
typedef int32_t vi __attribute__((vector_size(4 * kLanes)));

#ifdef __clang__
#define MDN_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MDN_PICK(a, b, ...) __builtin_shuffle(a, b, vi{__VA_ARGS__})
#endif

inline vf all(float x) { return x - vf{}; }
inline vf load(const float* p) { return *reinterpret_cast<const vf*>(p); }
inline void store(float* p, vf x) { *reinterpret_cast<vf*>(p) = x; }
inline vf load_anywhere(const float* p) {
  vf x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
inline void store_anywhere(float* p, vf x) { std::memcpy(p, &x, sizeof x); }
inline float total(vf x) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += x[i];
  return sum;
}

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

// The normal distribution's share below x, to 2e-7: erfc(z) = exp(-Q(z)), Q a polynomial fitted on
// 0 <= z <= 4 to the least largest error. It needs no division and no branch.
inline vf normal_share(vf x) {
  vf z = (x < vf{} ? -x : x) * 0.70710678f;
  z = z > all(4.0f) ? all(4.0f) : z;
  vf q = z * -9.8498895e-5f + 2.540097e-3f;
  q = q * z - 2.1415982e-2f;
  q = q * z + 1.0376403e-1f;
  q = q * z + 6.364237e-1f;
  q = q * z + 1.1283916f;
  const vf tail = exponential(-q * z) * 0.5f;
  return x < vf{} ? tail : 1.0f - tail;
}

inline vf normal_density(vf x) { return exponential(x * x * -0.5f) * 0.39894228f; }

// 16 rows of 16 become columns: each round interleaves the rows of one half with the other's, and
// so turns the bits of (row, column) by one place; four rounds swap the two.
inline void transpose(vf* r) {
  for (int round = 0; round < 4; ++round) {
    vf t[kLanes];
    MDN_UNROLL for (int i = 0; i < 8; ++i) {
      t[2 * i] = MDN_PICK(r[i], r[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      t[2 * i + 1] =
          MDN_PICK(r[i], r[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    MDN_UNROLL for (int i = 0; i < kLanes; ++i) r[i] = t[i];
  }
}

// Zeroed floats on a cache line's boundary.
class Floats {
 public:
  explicit Floats(int64_t size)
      : data_(new (std::align_val_t(64)) float[size + kLanes]()), size_(size) {}
  ~Floats() { ::operator delete[](data_, std::align_val_t(64)); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  operator float*() const { return data_; }
  int64_t size() const { return size_; }

 private:
  float* data_;
  int64_t size_;
};

}  // namespace mdn
