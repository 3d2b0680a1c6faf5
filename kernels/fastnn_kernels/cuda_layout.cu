// Layout: parameters, and what the optimizer keeps of them, between a network's flat vectors and work.

// Does each(flat, work) for every number: its place in a flat vector, and in work.
template <class Each> __device__ inline void for_each_number(const Job& job, int l, const Each& each) {
  const int K = job.width[l - 1], N = job.width[l], first = blockIdx.x * blockDim.x + threadIdx.x;
  for (int i = first; i < (K + job.has_bias) * N; i += gridDim.x * blockDim.x) {
    const int k = i / N, c = i % N;
    each(k < K ? job.flat_W[l] + i : job.flat_b[l] + c, job.W[l] + k * job.stride[l] + c, k, c);
  }
}

// grid: any.  Transposes are made, and the input of each bias but the first, too.
extern "C" __global__ void pack(const __grid_constant__ Job job) {
  for (int l = 1; l <= job.layers; l++) {
    for_each_number(job, l, [&](int flat, int place, int k, int c) {
      for (int kept = 0; kept <= job.keeps; kept++)
        job.work[place + kept * job.size] = job.flats[kept][flat];
      if (job.has_transposes && l > 1 && k < job.width[l - 1])
        job.work[job.WT[l] + c * job.stride[l - 1] + k] = job.flats[0][flat];
    });
    const int first = blockIdx.x * blockDim.x + threadIdx.x;
    for (int r = first; job.has_transposes && r < job.control->batch; r += gridDim.x * blockDim.x)
      job.work[job.A[l] + r * job.stride[l] + job.width[l]] = 1;
  }
}

extern "C" __global__ void unpack(const __grid_constant__ Job job) {
  for (int l = 1; l <= job.layers; l++)
    for_each_number(job, l, [&](int flat, int place, int, int) {
      for (int kept = 0; kept <= job.keeps; kept++)
        job.flats[kept][flat] = job.work[place + kept * job.size];
    });
}
