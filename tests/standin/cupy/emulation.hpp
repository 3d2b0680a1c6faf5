// Emulation: a block of CUDA threads on the host, each thread a fiber, so that barriers and shuffles
// are what they are on a GPU.
//
// Shared memory begins as NaN and ends at a page that may not be touched.  A barrier that is missing
// shows itself when threads run in another order (EMULATION_ORDER=1, 2, ...).  What is not here: banks,
// alignment, and blocks that run at the same time.
#pragma once
#include <sys/mman.h>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)
#define __grid_constant__
#define SHARED(type, name) type* name = (type*)emulation::shared

using std::min, std::max, std::exp, std::expm1, std::log, std::log1p, std::fabs, std::tanh, std::sqrt, std::fma;
struct Index { unsigned x, y, z; };
static Index threadIdx, blockIdx, blockDim, gridDim;

extern "C" void fiber_switch(void** save, void* load);  // of x86-64: what a call must keep
asm(".weak fiber_switch\nfiber_switch:\n push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " mov %rsp,(%rdi)\n mov %rsi,%rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");

namespace emulation {
constexpr size_t STACK = 1 << 17, PAGE = 4096;
struct Fiber { void* place; bool is_done; long block_barriers, warp_barriers; };
static std::vector<Fiber> fibers;
static std::vector<uint64_t> shown;  // by each thread to its warp
static char* shared;
static void* scheduler;
static int me;
static const std::function<void()>* body;
static int without = -1;  // the number of a barrier

inline void wait(int from, int to, long Fiber::*count) {
  const int self = me;
  const long need = ++(fibers[self].*count);
  auto arrived = [&] {
    for (int i = from; i < to; i++) if (!fibers[i].is_done && fibers[i].*count < need) return false;
    return true;
  };
  while (!arrived()) fiber_switch(&fibers[self].place, scheduler);
}
inline void block_barrier(int number) {
  if (number != without) wait(0, blockDim.x, &Fiber::block_barriers);
}
inline void warp_barrier() { wait(me / 32 * 32, me / 32 * 32 + 32, &Fiber::warp_barriers); }
template <class T> T shuffle(T x, int source) {
  memcpy(&shown[me], &x, sizeof x);
  warp_barrier();
  memcpy(&x, &shown[me / 32 * 32 + source], sizeof x);
  warp_barrier();
  return x;
}
static void enter() {
  (*body)();
  fibers[me].is_done = true;
  for (;;) fiber_switch(&fibers[me].place, scheduler);
}
inline void launch(Index grid, int threads, size_t bytes, const std::function<void()>& f) {
  const char* text = getenv("EMULATION_ORDER");
  const char* left_out = getenv("EMULATION_WITHOUT");
  without = left_out ? atoi(left_out) : -1;
  uint64_t random = text ? strtoull(text, 0, 10) * 0x9E3779B97F4A7C15ull | 1 : 0;
  static char* stacks = (char*)mmap(0, 1024 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const size_t size = (bytes + PAGE - 1) / PAGE * PAGE;
  char* memory = (char*)mmap(0, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(memory + size, PAGE, PROT_NONE);
  shared = memory + size - (bytes + 31) / 32 * 32;
  body = &f, gridDim = grid, blockDim = {unsigned(threads), 1, 1}, shown.assign(threads, 0);
  std::vector<int> turns(threads);
  for (int i = 0; i < threads; i++) turns[i] = i;
  for (unsigned y = 0; y < grid.y; y++) for (unsigned x = 0; x < grid.x; x++) {
    memset(shared, 0xFF, bytes);
    fibers.assign(threads, {});
    for (int i = 0; i < threads; i++) {
      void** top = (void**)(stacks + (i + 1) * STACK - 64);
      *--top = 0, *--top = (void*)enter;
      for (int k = 0; k < 6; k++) *--top = 0;
      fibers[i].place = top;
    }
    for (bool any = true; any;) {
      any = false;
      for (int i = threads - 1; random && i > 0; i--) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        std::swap(turns[i], turns[(random >> 33) % (i + 1)]);
      }
      for (int i : turns) if (!fibers[i].is_done) {
        any = true, me = i, threadIdx = {unsigned(i), 0, 0}, blockIdx = {x, y, 0};
        fiber_switch(&scheduler, fibers[i].place);
      }
    }
  }
  munmap(memory, size + PAGE);
}
}  // namespace emulation

// The barriers of a source have numbers, so that a test can leave one out: EMULATION_WITHOUT=n.
#define __syncthreads() emulation::block_barrier(__COUNTER__)
inline void __threadfence() {}
template <class T> T __shfl_xor_sync(unsigned, T x, int mask) { return emulation::shuffle(x, (emulation::me & 31) ^ mask); }
template <class T> T __ldcg(const T* p) { return *p; }
inline int atomicAdd(int* p, int x) { return (*p += x) - x; }
