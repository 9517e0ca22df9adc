// A block of SwinIR, forward and backward, for one processor's vectors and caches.
//
// Built by `mdn.nets.native` with the compiler at hand and -march=native; plain C through ctypes.

#include <omp.h>

#include <vector>

#include "backward.h"

namespace mdn {

// The attention for heads of one size, whose loops are unrolled whole; nulls for any other size.
struct Kernels {
  Attention attend;
  AttentionGradient gradient;
};

Kernels kernels(int size) {
  switch (size) {
    case 4: return {attend_all<4>, attend_gradient<4>};
    case 8: return {attend_all<8>, attend_gradient<8>};
    case 10: return {attend_all<10>, attend_gradient<10>};
    case 16: return {attend_all<16>, attend_gradient<16>};
    case 30: return {attend_all<30>, attend_gradient<30>};
    case 32: return {attend_all<32>, attend_gradient<32>};
    default: return {nullptr, nullptr};
  }
}

// (batch, height, width, dim, heads, hidden, window, shift, whether products may be in bfloat16)
std::unique_ptr<Block> block(const int* n, float* const* parameters, const uint8_t* keep,
                             const float* scales) {
  std::unique_ptr<Block> b(new Block());
  b->grid = {n[0], n[3], {n[1], n[6], n[7]}, {n[2], n[6], n[7]}};
  b->heads = n[4], b->hidden = n[5], b->keep = keep, b->scales = scales;
  b->half = n[8] && halves_ready() && n[3] <= 256 && n[5] <= 512;
  std::memcpy(&b->at, parameters, sizeof b->at);
  b->qkv.fill(b->at.qkv, 3 * n[3], n[3], b->half);
  b->proj.fill(b->at.proj, n[3], n[3], b->half);
  b->fc1.fill(b->at.fc1, n[5], n[3], b->half);
  b->fc2.fill(b->at.fc2, n[3], n[5], b->half);
  return b;
}

}  // namespace mdn

using namespace mdn;

extern "C" int mdn_block(const int* shape, float* const* parameters, const uint8_t* keep,
                         const float* scales, const float* x, float* out, int threads) {
  const auto made = block(shape, parameters, keep, scales);
  const Block& b = *made;
  const Attention attend = kernels(b.size()).attend;
  if (!attend) return 1;
  const Biases biases(b);
  const int windows = b.grid.windows();
#pragma omp parallel num_threads(threads)
  {
    const Tiles tiles(b.half);
    Work work(b);
#pragma omp for schedule(static)
    for (int i = 0; i < windows; ++i) {
      const Window w(b.grid, i);
      by_vectors(w.vectors(), [&](auto V) { forward<V>(b, w, biases, attend, work, x, out); });
    }
  }
  return 0;
}

// `grads`: of the parameters, zeros that are added to.
extern "C" int mdn_block_gradient(const int* shape, float* const* parameters, const uint8_t* keep,
                                  const float* scales, const float* x, const float* grad,
                                  float* grad_x, float* const* grads, int threads) {
  const auto made = block(shape, parameters, keep, scales);
  const Block& b = *made;
  const Kernels kernel = kernels(b.size());
  if (!kernel.attend) return 1;
  const Biases biases(b);
  const int windows = b.grid.windows();
  std::vector<std::unique_ptr<Slopes>> parts(threads);
#pragma omp parallel num_threads(threads)
  {
    const Tiles tiles(b.half);
    Work work(b);
    auto& slopes = parts[omp_get_thread_num()];
    slopes = std::make_unique<Slopes>(b);
#pragma omp for schedule(static)
    for (int i = 0; i < windows; ++i) {
      const Window w(b.grid, i);
      by_vectors(w.vectors(), [&](auto V) {
        backward<V>(b, w, biases, kernel.attend, kernel.gradient, work, *slopes, x, grad, grad_x);
      });
    }
  }
  // One after another: the same threads give the same bits.
  Parameters sums;
  std::memcpy(&sums, grads, sizeof sums);
  for (const auto& part : parts)
    if (part) part->add_to(b, sums);
  return 0;
}
