// Chunk: batches of a few rows by plain gradient descent, many of them in three launches.
//
// A chunk is some whole batches.  A step on a row r moves W1 by -rate x_r dZ1_r and b1 by -rate dZ1_r,
// and so it moves z1 of a later row i by -rate (x_i x_r + 1) dZ1_r: what a chunk needs of X and W1 is
// Z = X W1 + b1 and G = X X^T + 1, which are made at once.  The steps are those of batch after batch,
// up to rounding.
//
//   chunk_products   Z and G, on as many blocks as they have tiles
//   chunk_steps      all batches in their order, in one block that holds the weights of later layers
//   gradient_update  W1 and b1 by all that they were moved by, which lies at D
//
// work: Z at A (1), G (rows of a chunk, the same) at S (1), D at D (1), each row of a chunk; no WT.
// In the control, `batch` is of a chunk, and `rows` of a step.

constexpr int B = STEP_ROWS;  // rows of a step, at most; on the way back SHARE threads have one of W

// grid: (tiles of rows, tiles of W1's columns and then of rows)
extern "C" __global__ void __launch_bounds__(THREADS, 1)
chunk_products(const __grid_constant__ Job job) {
  SHARED(real, area);
  const Batch chunk(*job.control);
  const int row0 = blockIdx.x * R, rows = min(R, chunk.count - row0);
  const int columns = (job.width[1] + COLUMNS - 1) / COLUMNS;
  if (rows <= 0) return;
  if (int(blockIdx.y) < columns) {
    const int column = blockIdx.y * COLUMNS, stride = job.stride[1];
    const real* W = job.work + job.W[1];
    Tile tile;
    for_each_slice(job, chunk.first + row0, rows, area, [&](int k, int depth) {
      tile.product(area, W + (size_t)k * stride, stride, depth, column);
    });
    real z[EACH];
    tile.reduce(area, z);
    const int c = column + tile.column();
    for (int i = 0; i < EACH; i++)
      if (c < job.width[1] && tile.row() + i < rows)
        job.work[job.A[1] + (row0 + tile.row() + i) * stride + c] =
            z[i] + (job.has_bias ? W[(size_t)job.width[0] * stride + c] : 0);
    return;
  }
  const int other0 = (blockIdx.y - columns) * R;  // G is symmetric, and used below its diagonal
  if (other0 > row0) return;
  constexpr int HALF = DEPTH / 2;
  real *X = area, *Y = area + HALF * PITCH, sum = 0;
  const int i = threadIdx.x / R, j = threadIdx.x % R;
  for (int k = 0; k < job.width[0]; k += HALF) {
    const int depth = min(HALF, job.width[0] - k);
    __syncthreads();
    gather(job, X, chunk.first + row0, rows, k, depth);
    gather(job, Y, chunk.first + other0, min(R, chunk.count - other0), k, depth);
    __syncthreads();
    for (int at = 0; at < depth; at++) sum = fma(X[at * PITCH + i], Y[at * PITCH + j], sum);
  }
  if (i < rows && other0 + j < job.control->batch)
    job.work[job.S[1] + (row0 + i) * job.control->batch + other0 + j] = sum + job.has_bias;
}

// The numbers of up to B rows at one place.
struct Rows {
  real at[B];
  __device__ static Rows none() {
    Rows rows;
    for (int r = 0; r < B; r++) rows.at[r] = 0;
    return rows;
  }
};

// One layer in shared memory: W (K, stride) and b (N,); A, S and D (N, B) as in work, but for the last
// layer's D, which is (N, PITCH).  The stride is SHARE modulo 32, so that no two lanes meet in a bank.
struct Layer { real *W, *b, *A, *S, *D; int K, N, stride, f; };

// A (N, B) and S of layer `to` from A of the layer before; the last one's Z.
__device__ inline void forward_rows(const Layer& before, const Layer& to, bool is_last, int count,
                                    real* parts) {
  const int wide = (to.N + 31) / 32 * 32, slices = STEP_THREADS / wide;
  const int length = (to.K + slices - 1) / slices;
  const int j = threadIdx.x % wide, slice = threadIdx.x / wide;
  if (j < to.N && slice < slices) {
    Rows z = Rows::none();
#pragma unroll 4
    for (int k = slice * length; k < min(to.K, (slice + 1) * length); k++)
#pragma unroll
      for (int r = 0; r < B; r++) z.at[r] = fma(to.W[k * to.stride + j], before.A[k * B + r], z.at[r]);
    for (int r = 0; r < B; r++) parts[(slice * to.N + j) * B + r] = z.at[r];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < to.N * B; i += STEP_THREADS) {
    const int c = i / B, r = i % B;
    real z = to.b[c];
    for (int slice = 0; slice < slices; slice++) z += parts[slice * to.N * B + i];
    if (is_last) to.D[c * PITCH + r] = r < count ? z : 0;
    else {
      const real a = activate(to.f, z);
      to.A[i] = r < count ? a : 0;
      to.S[i] = r < count ? slope(to.f, z, a) : 0;
    }
  }
  __syncthreads();
}

// D of the layer before from that of `from`, whose weights and bias take their step.
__device__ inline void backward_rows(const Layer& before, const Layer& from, bool is_last,
                                     bool has_bias, real rate) {
  const int D_row = is_last ? PITCH : B, share = threadIdx.x % SHARE;
  for (int k0 = 0; k0 < from.K; k0 += STEP_THREADS / SHARE) {
    const int k = k0 + threadIdx.x / SHARE;
    Rows g = Rows::none(), a = Rows::none();
    if (k < from.K) {
      for (int r = 0; r < B; r++) a.at[r] = before.A[k * B + r];
#pragma unroll 4
      for (int j = share; j < from.N; j += SHARE) {
        const real w = from.W[k * from.stride + j];
        real moved = 0;
#pragma unroll
        for (int r = 0; r < B; r++) {
          const real d = from.D[j * D_row + r];
          g.at[r] = fma(w, d, g.at[r]);
          moved = fma(a.at[r], d, moved);
        }
        from.W[k * from.stride + j] = fma(-rate, moved, w);
      }
    }
#pragma unroll
    for (int r = 0; r < B; r++) {
#pragma unroll
      for (int o = SHARE / 2; o; o /= 2) g.at[r] += __shfl_xor_sync(~0u, g.at[r], o);
      if (k < from.K && share == 0) before.D[k * B + r] = g.at[r] * before.S[k * B + r];
    }
  }
  for (int j = threadIdx.x; has_bias && j < from.N; j += STEP_THREADS) {
    real moved = 0;
    for (int r = 0; r < B; r++) moved += from.D[j * D_row + r];
    from.b[j] = fma(-rate, moved, from.b[j]);
  }
  __syncthreads();
}

// grid: one block.
extern "C" __global__ void __launch_bounds__(STEP_THREADS, 1)
chunk_steps(const __grid_constant__ Job job) {
  SHARED(real, memory);
  const Control& now = *job.control;
  const Batch chunk(now);
  const int L = job.layers, M = now.batch, thread = threadIdx.x;
  auto take = [&](int count) {
    real* begin = memory;
    memory += (count + 3) / 4 * 4;
    return begin;
  };
  __shared__ Layer layers[MOST_LAYERS + 1];
  __shared__ Target targets[MOST_CHUNK];
  __shared__ real rates[MOST_CHUNK];
  const int h = job.width[1], wide = (h + 31) / 32 * 32, groups = STEP_THREADS / wide;
  const int c = thread < groups * wide ? thread % wide : h;  // a unit of the first layer, if below h
  real *Z = take(M * h), *G = take(M * M), *parts = take(STEP_THREADS * B);
  for (int l = 1; l <= L; l++) {
    const int K = job.width[l - 1], N = job.width[l], stride = N + ((SHARE - N) % 32 + 32) % 32;
    Layer layer{0, 0, 0, 0, 0, K, N, stride, job.f[l]};
    if (l > 1) layer.W = take(K * stride), layer.b = take(N);
    if (l < L) layer.A = take(N * B), layer.S = take(N * B);
    layer.D = take(l < L ? N * B : N * PITCH);
    if (thread == 0) layers[l] = layer;
    const real* W = job.work + job.W[l];
    for (int i = thread; l > 1 && i < K * N; i += STEP_THREADS)
      layer.W[i / N * stride + i % N] = W[(size_t)(i / N) * job.stride[l] + i % N];
    for (int i = thread; l > 1 && i < N; i += STEP_THREADS)
      layer.b[i] = job.has_bias ? W[(size_t)K * job.stride[l] + i] : 0;
    for (int i = thread; l == L && i < N * PITCH; i += STEP_THREADS) layer.D[i] = 0;
  }
  for (int i = thread; i < chunk.count * h; i += STEP_THREADS)
    Z[i] = job.work[job.A[1] + i / h * job.stride[1] + i % h];
  for (int i = thread; i < chunk.count * M; i += STEP_THREADS) G[i] = job.work[job.S[1] + i];
  const int steps = (now.samples + now.rows - 1) / now.rows, epoch = chunk.first / now.samples;
  const int step0 = epoch * steps + (chunk.first - epoch * now.samples) / now.rows;
  for (int i = thread; i < chunk.count; i += STEP_THREADS) {
    targets[i] = target_of(job, chunk.first + i);
    rates[i] = job.numbers[(size_t)min(step0 + i, now.numbers - 1) * now.has_numbers];
  }
  __syncthreads();

  const Layer first = layers[1];
  auto enter = [&](int r, int row, real z) {  // z of unit c, of row r in a batch
    const real a = activate(first.f, z);
    first.A[c * B + r] = row < chunk.count ? a : 0;
    first.S[c * B + r] = row < chunk.count ? slope(first.f, z, a) : 0;
  };
  for (int r = thread / wide; c < h && r < B; r += groups)
    enter(r, r < now.rows ? r : M, r < min(now.rows, chunk.count) ? Z[r * h + c] : 0);
  __syncthreads();
  for (int row0 = 0, step = 0; row0 < chunk.count; row0 += now.rows, step++) {
    const int count = min(now.rows, chunk.count - row0), next = row0 + count;
    const real rate = rates[step];
    for (int l = 2; l <= L; l++) forward_rows(layers[l - 1], layers[l], l == L, count, parts);
    if (thread < THREADS) {
      const int r = thread / LANES;
      const bool is_there = r < count;
      set_loss(job, is_there ? targets[row0 + r] : Target{0, -1, 0}, is_there, chunk.first + row0 + r,
               job.is_mean ? count : 1, layers[L].D);
    }
    __syncthreads();
    for (int l = L; l > 1; l--) backward_rows(layers[l - 1], layers[l], l == L, job.has_bias, rate);
    if (c < h) {  // D of these rows, z of the later ones, and those of them that are next
      for (int r = thread / wide; r < count; r += groups)
        job.work[job.D[1] + (row0 + r) * job.stride[1] + c] = rate * first.D[c * B + r];
      for (int i = thread / wide; i < max(B, chunk.count - next); i += groups) {
        real z = 0;
        if (next + i < chunk.count) {
          z = Z[(next + i) * h + c];
          for (int r = 0; r < count; r++)
            z = fma(-rate * G[(next + i) * M + row0 + r], first.D[c * B + r], z);
          Z[(next + i) * h + c] = z;
        }
        if (i < B) enter(i, i < now.rows ? next + i : chunk.count, z);
      }
    }
    __syncthreads();
  }
  for (int l = 2; l <= L; l++) {
    const Layer layer = layers[l];
    real* W = job.work + job.W[l];
    for (int i = thread; i < layer.K * layer.N; i += STEP_THREADS)
      W[(size_t)(i / layer.N) * job.stride[l] + i % layer.N] =
          layer.W[i / layer.N * layer.stride + i % layer.N];
    for (int i = thread; job.has_bias && i < layer.N; i += STEP_THREADS)
      W[(size_t)layer.K * job.stride[l] + i] = layer.b[i];
  }
}
