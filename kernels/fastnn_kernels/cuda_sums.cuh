// Sums: a block's product of R rows with a matrix of any width, a tile after the other.

// set(row, column, sum) for each sum of R rows and N columns, tile by tile of product(tile, column).
template <class Product, class Set>
__device__ inline void for_each_sum(int N, real* slab, const Product& product, const Set& set) {
  for (int column = 0; column < N; column += COLUMNS) {
    Tile tile;
    product(tile, column);
    real sum[EACH];
    tile.reduce(slab, sum);
    const int c = column + tile.column();
    if (c < N)
#pragma unroll
      for (int i = 0; i < EACH; i++) set(tile.row() + i, c, sum[i]);
    __syncthreads();
  }
}
