// A block of SwinIR, forward and backward, for one processor's vectors and caches.
//
// Built by `mdn.nets.native` with the compiler at hand and -march=native; plain C through ctypes.

#include "forward.h"

namespace mdn {

// The attention for heads of one size, whose loops are unrolled whole; null for any other size.
Attention attention(int size) {
  switch (size) {
    case 4: return attend_all<4>;
    case 8: return attend_all<8>;
    case 10: return attend_all<10>;
    case 16: return attend_all<16>;
    case 30: return attend_all<30>;
    case 32: return attend_all<32>;
    default: return nullptr;
  }
}

// (batch, height, width, dim, heads, hidden, window, shift)
Block block(const int* n, float* const* parameters, const uint8_t* keep, const float* scales) {
  Block b{{n[0], n[3], {n[1], n[6], n[7]}, {n[2], n[6], n[7]}}, n[4], n[5], {}, keep, scales};
  std::memcpy(&b.at, parameters, sizeof b.at);
  return b;
}

}  // namespace mdn

using namespace mdn;

extern "C" int mdn_block(const int* shape, float* const* parameters, const uint8_t* keep,
                         const float* scales, const float* x, float* out, int threads) {
  const Block b = block(shape, parameters, keep, scales);
  const Attention attend = attention(b.size());
  if (!attend) return 1;
  const Biases biases(b);
  const int windows = b.grid.windows();
#pragma omp parallel num_threads(threads)
  {
    Work work(b);
#pragma omp for schedule(static)
    for (int i = 0; i < windows; ++i) {
      const Window w(b.grid, i);
      by_vectors(w.vectors(), [&](auto V) { forward<V>(b, w, biases, attend, work, x, out); });
    }
  }
  return 0;
}
