// RMS and layer normalisation of rows, forward and backward, alone or after a residual addition:
//
//   s = x + residual      z = (s - mean) rstd      y = z weight + bias
//   ds = rstd (g - mean(g) - z mean(g z)) + dsum,  g = dy weight      dweight = sum over rows of dy z      dbias = sum over rows of dy
//
// with mean = 0 and without the term mean(g) for RMS normalisation. A block takes a row at a time; a thread always touches the same
// columns, so what it wrote it may read again. The derivatives by weight and bias are sums along columns: a kernel of their own, parts of
// rows first.
#include "sequent.cuh"
#include "fused.cuh"

constexpr int THREADS = 256;

// Writes s (null without residual), y, and mean (null for RMS normalisation) and reciprocal deviation of every row.
template <class T> __global__ void __launch_bounds__(THREADS)
norm_forward(const T* x, const T* residual, const T* weight, const T* bias, T* sum, T* y, float* mean, float* rstd, i64 rows, int width,
        float eps) {
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const i64 at = row * width;
        const T* s = residual ? sum : x;
        float total = 0.f, squares = 0.f;
        for (int i = threadIdx.x; i < width; i += THREADS) {
            float v = to_float(x[at + i]);
            if (residual) {
                const T rounded = from_float<T>(v + to_float(residual[at + i]));
                sum[at + i] = rounded;
                v = to_float(rounded);
            }
            total += v;
            squares += v * v;
        }
        float centre = 0.f;
        if (mean) {                                 // the variance from deviations: squares would cancel
            centre = block_sum<THREADS>(total) / width;
            squares = 0.f;
            for (int i = threadIdx.x; i < width; i += THREADS) {
                const float v = to_float(s[at + i]) - centre;
                squares += v * v;
            }
        }
        const float r = 1.f / sqrtf(block_sum<THREADS>(squares) / width + eps);
        for (int i = threadIdx.x; i < width; i += THREADS) {
            y[at + i] = from_float<T>((to_float(s[at + i]) - centre) * r * to_float(weight[i]) + (bias ? to_float(bias[i]) : 0.f));
        }
        if (threadIdx.x == 0) {
            if (mean) mean[row] = centre;
            rstd[row] = r;
        }
    }
}

// The derivative by s. dsum is what reaches s on another way, or null.
template <class T> __global__ void __launch_bounds__(THREADS)
norm_backward(const T* dy, const T* dsum, const T* s, const T* weight, const float* mean, const float* rstd, T* ds, i64 rows, int width) {
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const i64 at = row * width;
        const float centre = mean ? mean[row] : 0.f, r = rstd[row];
        float g = 0.f, gz = 0.f;
        for (int i = threadIdx.x; i < width; i += THREADS) {
            const float v = to_float(dy[at + i]) * to_float(weight[i]);
            g += v;
            gz += v * (to_float(s[at + i]) - centre) * r;
        }
        const float slope = block_sum<THREADS>(gz) / width, offset = mean ? block_sum<THREADS>(g) / width : 0.f;
        for (int i = threadIdx.x; i < width; i += THREADS) {
            const float z = (to_float(s[at + i]) - centre) * r;
            const float d = r * (to_float(dy[at + i]) * to_float(weight[i]) - offset - z * slope);
            ds[at + i] = from_float<T>(d + (dsum ? to_float(dsum[at + i]) : 0.f));
        }
    }
}

constexpr int COLUMNS = 32, LINES = THREADS / COLUMNS;

// Parts of the derivatives by weight and bias (blocks of rows, width): a block sums `block` rows of 32 columns, on eight lines of threads.
template <class T> __global__ void __launch_bounds__(THREADS)
norm_weights(const T* dy, const T* s, const float* mean, const float* rstd, float* weightParts, float* biasParts, i64 rows, int width,
        int block) {
    SHARED(float, sWeight, [LINES][COLUMNS]);
    SHARED(float, sBias, [LINES][COLUMNS]);
    const int column = blockIdx.x * COLUMNS + threadIdx.x % COLUMNS, line = threadIdx.x / COLUMNS;
    const i64 from = (i64) blockIdx.y * block, to = min(from + block, rows);
    float dweight = 0.f, dbias = 0.f;
    for (i64 row = from + line; row < to && column < width; row += LINES) {
        const float d = to_float(dy[row * width + column]);
        dweight += d * (to_float(s[row * width + column]) - (mean ? mean[row] : 0.f)) * rstd[row];
        dbias += d;
    }
    sWeight[line][threadIdx.x % COLUMNS] = dweight;
    sBias[line][threadIdx.x % COLUMNS] = dbias;
    __syncthreads();
    if (line > 0 || column >= width) return;
    for (int l = 1; l < LINES; l++) {
        dweight += sWeight[l][threadIdx.x];
        dbias += sBias[l][threadIdx.x];
    }
    weightParts[(i64) blockIdx.y * width + column] = dweight;
    if (biasParts) biasParts[(i64) blockIdx.y * width + column] = dbias;
}
