// Softmax of rows, y_i = e^(x_i - m) / sum_j e^(x_j - m) with m the largest, and its derivative dx = y (dy - <dy, y>). A block takes a row
// at a time.
#include "sequent.cuh"
#include "fused.cuh"

constexpr int THREADS = 256;

template <class T> __global__ void __launch_bounds__(THREADS) softmax_forward(const T* x, T* y, i64 rows, int width) {
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const Exponentials e = row_exponentials<THREADS>(x + row * width, width);
        for (int i = threadIdx.x; i < width; i += THREADS) {
            y[row * width + i] = from_float<T>(expf(to_float(x[row * width + i]) - e.largest) / e.sum);
        }
    }
}

template <class T> __global__ void __launch_bounds__(THREADS) softmax_backward(const T* dy, const T* y, T* dx, i64 rows, int width) {
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        float dot = 0.f;
        for (int i = threadIdx.x; i < width; i += THREADS) dot += to_float(dy[row * width + i]) * to_float(y[row * width + i]);
        dot = block_sum<THREADS>(dot);
        for (int i = threadIdx.x; i < width; i += THREADS) {
            dx[row * width + i] = from_float<T>(to_float(y[row * width + i]) * (to_float(dy[row * width + i]) - dot));
        }
    }
}
