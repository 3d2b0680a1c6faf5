// Tile: the one matrix product of a block, R rows by 64 columns, for forward, backward and gradient.
//
// Each warp makes the whole tile over its share of the depth: an element of W is read once by a block,
// straight into registers, and the loop has no barrier.  Then the eight warps' sums are added in a
// fixed order.  A lane holds EACH rows and two times four neighbouring columns: lane = 8 y + x has the
// rows from EACH y on and the columns from 4 x and from 32 + 4 x on.
//
// What has R rows in shared memory has PITCH numbers from column to column, so that lanes meet in
// fewer banks.

constexpr int WARPS = THREADS / 32, EACH = R / 4;
constexpr int AT_ONCE = 32 / sizeof(real);  // loads under way, each of hundreds of cycles

struct alignas(16) Four { real at[4]; };  // a GPU loads 16 bytes at a time

struct Tile {
  real sum[EACH][8];
  int x, y, warp;

  __device__ Tile() : x(threadIdx.x & 7), y(threadIdx.x >> 3 & 3), warp(threadIdx.x >> 5) {
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
      for (int j = 0; j < 8; j++) sum[i][j] = 0;
  }

  // sum += a (u, v) for a lane's rows and columns.
  __device__ void add(const real (&a)[EACH], const Four& u, const Four& v) {
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) {
        sum[i][j] = fma(a[i], u.at[j], sum[i][j]);
        sum[i][j + 4] = fma(a[i], v.at[j], sum[i][j + 4]);
      }
  }

  // sum += a w; w is a row of `stride` columns, a multiple of 4, and the tile's begin at `column`.
  // Columns beyond the stride read others, and nobody looks at their sums.
  __device__ void add_row(const real (&a)[EACH], const real* w, int stride, int column) {
    add(a, *(const Four*)(w + min(column + 4 * x, stride - 4)),
        *(const Four*)(w + min(column + 32 + 4 * x, stride - 4)));
  }

  // sum += A^T W for A (depth, PITCH) in shared memory and W (depth, stride).
  __device__ void product(const real* A, const real* W, int stride, int depth, int column) {
#pragma unroll (AT_ONCE)
    for (int k = warp; k < depth; k += WARPS) {
      real a[EACH];
      load(a, A + k * PITCH + EACH * y);
      add_row(a, W + (size_t)k * stride, stride, column);
    }
  }

  // The same for W (depth, width) of any width, which lies anywhere.
  __device__ void product_of_flat(const real* A, const real* W, int width, int depth, int column) {
#pragma unroll (AT_ONCE / 2)
    for (int k = warp; k < depth; k += WARPS) {
      real a[EACH];
      load(a, A + k * PITCH + EACH * y);
      const real* w = W + (size_t)k * width;
      Four u, v;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        u.at[j] = w[min(column + 4 * x + j, width - 1)];
        v.at[j] = w[min(column + 32 + 4 * x + j, width - 1)];
      }
      add(a, u, v);
    }
  }

  __device__ static void load(real (&a)[EACH], const real* from) {
#pragma unroll
    for (int i = 0; i < EACH; i += 4) {
      const Four four = *(const Four*)(from + i);
#pragma unroll
      for (int j = 0; j < 4; j++) a[i + j] = four.at[j];
    }
  }

  // The warps' sums: this thread gets those of its column() and of EACH rows from its row() on.
  // slab: shared memory for SLAB numbers, which another may use after a barrier.
  __device__ void reduce(real* slab, real (&total)[EACH]) {
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const int place = (j >> 2) * 32 + (j & 3) * 8 + x;  // neighbouring lanes in neighbouring banks
#pragma unroll
      for (int i = 0; i < EACH; i += 4)
        *(Four*)(slab + (warp * COLUMNS + place) * PITCH + EACH * y + i) =
            Four{{sum[i][j], sum[i + 1][j], sum[i + 2][j], sum[i + 3][j]}};
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < EACH; i++) total[i] = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) {
      real part[EACH];
      load(part, slab + (w * COLUMNS + (threadIdx.x & 63)) * PITCH + row());
#pragma unroll
      for (int i = 0; i < EACH; i++) total[i] += part[i];
    }
  }
  __device__ static int column() {
    const int place = threadIdx.x & 63;
    return (place & 32) + (place & 7) * 4 + (place >> 3 & 3);
  }
  __device__ static int row() { return (threadIdx.x >> 6) * EACH; }
};
