// The matrix product of dense integer matrices, C (m, n) = op(A) op(B), and of floats where the matrix library has no answer: tiles of
// 16 x 16 in shared memory.
#include "strided.cuh"

template <class T> __global__ void product(const T* allA, const T* allB, T* allY, i64 batch, i64 m, i64 n, i64 k, int transA, int transB) {
    typedef typename Compute<T>::type C;
    SHARED(C, left, [16][17]);
    SHARED(C, right, [16][17]);
    int tx = threadIdx.x, ty = threadIdx.y;
    i64 row = (i64) blockIdx.x * 16 + ty;
    for (i64 z = blockIdx.z; z < batch; z += gridDim.z) for (i64 tile = blockIdx.y; tile * 16 < n; tile += gridDim.y) {
        const T *a = allA + z * m * k, *b = allB + z * k * n;
        i64 column = tile * 16 + tx;
        C sum = 0;
        for (i64 l = 0; l < k; l += 16) {
            left[ty][tx] = row < m && l + tx < k ? number(transA ? a[(l + tx) * m + row] : a[row * k + l + tx]) : (C) 0;
            right[ty][tx] = column < n && l + ty < k ? number(transB ? b[column * k + l + ty] : b[(l + ty) * n + column]) : (C) 0;
            __syncthreads();
            for (int i = 0; i < 16; i++) sum = sum_of(sum, product_of(left[ty][i], right[i][tx]));
            __syncthreads();
        }
        if (row < m && column < n) allY[z * m * n + row * n + column] = Element<T>::of(sum);
    }
}
