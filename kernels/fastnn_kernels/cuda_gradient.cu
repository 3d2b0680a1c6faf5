// Gradient: a block makes a tile of one layer's gradient and moves its weights along it.

// a = the inputs of layer l to rows k and on of its weights, in row `row` of the batch.
__device__ inline void load_inputs(const Job& job, const Batch& batch, int l, int row, int k,
                                   real (&a)[EACH]) {
  const int K = job.width[l - 1];
  if (l > 1) {
    const int stride = job.stride[l - 1];
    Tile::load(a, job.work + job.A[l - 1] + (size_t)row * stride + min(k, stride - EACH));
    return;
  }
  const int from = job.order[batch.first + row];
#pragma unroll
  for (int i = 0; i < EACH; i++) a[i] = k + i < K ? input(job, from, k + i) : real(1);
}

// grid: (tiles of all layers' weights, parts of the batch).  The block that is last at a tile adds its
// parts in their order; the last of all ends the step.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
gradient_update(const __grid_constant__ Job job) {
  SHARED(real, area);
  const Batch batch(*job.control);
  int l = 1, index = blockIdx.x, high = 0;  // high: tiles of a layer, one below the other
  for (;; l++) {
    high = (job.width[l - 1] + job.has_bias + R - 1) / R;
    const int tiles = high * ((job.width[l] + COLUMNS - 1) / COLUMNS);
    if (index < tiles) break;
    index -= tiles;
  }
  const int K = job.width[l - 1] + job.has_bias, N = job.width[l], stride = job.stride[l];
  const int k0 = index % high * R, column = index / high * COLUMNS;
  const int length = (batch.count + gridDim.y - 1) / gridDim.y, from = blockIdx.y * length;

  Tile tile;
#pragma unroll 4
  for (int r = from + tile.warp; r < min(batch.count, from + length); r += WARPS) {
    real a[EACH];
    load_inputs(job, batch, l, r, k0 + EACH * tile.y, a);
    tile.add_row(a, job.work + job.D[l] + (size_t)r * stride, stride, column);
  }
  real g[EACH];
  tile.reduce(area, g);

  bool is_last = true;
  if (gridDim.y > 1) {
    real* parts = job.work + job.parts + (size_t)blockIdx.x * gridDim.y * THREADS * EACH;
#pragma unroll
    for (int i = 0; i < EACH; i++) parts[(blockIdx.y * EACH + i) * THREADS + threadIdx.x] = g[i];
    __threadfence();
    __syncthreads();  // between blocks: all of the part is there
    int* shown = (int*)area;
    if (threadIdx.x == 0) *shown = atomicAdd(&job.tickets[blockIdx.x], 1) == int(gridDim.y) - 1;
    __syncthreads();
    is_last = *shown;
    if (is_last) {
      __threadfence();
#pragma unroll
      for (int i = 0; i < EACH; i++) g[i] = 0;
      for (int part = 0; part < int(gridDim.y); part++)
#pragma unroll
        for (int i = 0; i < EACH; i++)
          g[i] += __ldcg(parts + (part * EACH + i) * THREADS + threadIdx.x);
      if (threadIdx.x == 0) job.tickets[blockIdx.x] = 0;
    }
  }
  const int c = column + tile.column();
  if (is_last && c < N) {
    const Control& now = *job.control;
    const real* numbers = job.numbers + (size_t)min(batch.step, now.numbers - 1) * now.has_numbers;
    real* W = job.work + job.W[l];
#pragma unroll
    for (int i = 0; i < EACH; i++) {
      const int k = k0 + tile.row() + i;
      if (k >= K) break;
      const size_t place = (size_t)k * stride + c;
      real p = W[place], v = job.keeps > 0 ? W[place + job.size] : 0;
      real u = job.keeps > 1 ? W[place + 2 * job.size] : 0;
      update(job.rule, numbers, g[i], p, v, u);
      W[place] = p;
      if (job.keeps > 0) W[place + job.size] = v;
      if (job.keeps > 1) W[place + 2 * job.size] = u;
      if (l > 1 && k < job.width[l - 1]) job.work[job.WT[l] + (size_t)c * job.stride[l - 1] + k] = p;
    }
  }
  __syncthreads();  // between blocks: all of this one have read the step
  if (threadIdx.x == 0 && atomicAdd(&job.control->arrived, 1) == int(gridDim.x * gridDim.y) - 1) {
    job.control->arrived = 0;
    job.control->step = batch.step + 1;
  }
}
