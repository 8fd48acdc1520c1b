// Attention, out = softmax(scale q k^T + mask) v per head, forward and backward, with ordinary arithmetic in float: exact, for F32 models
// and for head widths that the matrix units do not take. attention_mma.cu is the fast form for BF16.
//
// Tiling. A block holds TILE queries of one head (forward, dq) or TILE keys of one key-value head (dk, dv) and walks over tiles of the
// others that it may see. Four neighbouring threads share a row of the tile of scores, and the row's WIDTH channels. The softmax is
// computed online: the largest score so far and the sum of exponentials are corrected as tiles come (Milakov and Gimelshein 2018; Dao
// 2023). Scores are never stored; the backward pass recomputes them from the saved logarithm of each query's sum.
//
// dq and (dk, dv) come from two kernels, each of which adds up in the order of its walk: no atomics, equal bits every time.
//
// Rows that are padding are read as zeros. Macros: WIDTH, channels of a head; TILE.
#include "attention.cuh"

constexpr int LANES = 4, THREADS = LANES * TILE, COLUMNS = TILE / LANES, CHANNELS = (WIDTH + LANES - 1) / LANES;

using Rows = float[TILE][WIDTH + 1];        // one more than needed, so that rows begin in different banks
using Scores = float[TILE][TILE + 1];

// Sum and maximum over the threads of a row.
__device__ __forceinline__ float row_sum(float v) {
    v += __shfl_xor_sync(FULL_WARP, v, 1);
    return v + __shfl_xor_sync(FULL_WARP, v, 2);
}
__device__ __forceinline__ float row_max(float v) {
    v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 1));
    return fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 2));
}
// Tokens [first, first + TILE) of a head to shared memory; zeros for those that `has` denies.
template <class T, class Has> __device__ __forceinline__ void stage(const T* x, i64 distance, int first, Has has, Rows& tile) {
    for (int i = threadIdx.x; i < TILE * WIDTH; i += THREADS) {
        const int r = i / WIDTH, c = i % WIDTH;
        tile[r][c] = has(first + r) ? to_float(x[(i64) (first + r) * distance + c]) : 0.f;
    }
}
// Inner products of row `row` of a with the rows of b that are this thread's columns.
__device__ __forceinline__ void products(const Rows& a, const Rows& b, int row, int lane, float (&s)[COLUMNS]) {
#pragma unroll
    for (int c = 0; c < COLUMNS; c++) s[c] = 0.f;
    for (int p = 0; p < WIDTH; p++) {
        const float v = a[row][p];
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) s[c] += v * b[lane + LANES * c][p];
    }
}
// sum[c] += weights[row][j] x[j][channel c of this thread]
__device__ __forceinline__ void accumulate(const Scores& weights, const Rows& x, int row, int lane, float (&sum)[CHANNELS]) {
    for (int j = 0; j < TILE; j++) {
        const float w = weights[row][j];
#pragma unroll
        for (int c = 0; c < CHANNELS; c++) if (WIDTH % LANES == 0 || lane + LANES * c < WIDTH) sum[c] += w * x[j][lane + LANES * c];
    }
}
template <class T> __device__ __forceinline__ void write(T* row, int lane, const float (&v)[CHANNELS], float factor) {
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) if (lane + LANES * c < WIDTH) row[lane + LANES * c] = from_float<T>(v[c] * factor);
}

// Writes out (B, T, H, WIDTH), and lse (B, H, T) unless it is null. Grid: tiles of queries, heads, sequences.
template <class T> __global__ void __launch_bounds__(THREADS)
attention_forward(const T* q, const T* k, const T* v, Sizes n, Mask mask, float scale, T* out, float* lse) {
    SHARED(Rows, sQ);
    SHARED(Rows, sKV);
    SHARED(Scores, sP);
    const int batch = blockIdx.z, head = blockIdx.y, group = head / (int) (n.heads / n.groups), row = threadIdx.x / LANES,
            lane = threadIdx.x % LANES;
    const int first = blockIdx.x * TILE, query = first + row, lastQuery = min(first + TILE, (int) n.queries) - 1;
    const Sight sight(n, mask, batch);
    const auto isQuery = [&](int i) { return sight.has_query(i); };
    const auto isKey = [&](int j) { return sight.has_key(j); };
    stage(q + batch * n.qBatch + head * n.qHead, n.qToken, first, isQuery, sQ);
    float largest = NEGATIVE_INFINITY, sum = 0.f, acc[CHANNELS] = {};
    for (int j = sight.first_key(first) / TILE * TILE; j < sight.end_key(lastQuery); j += TILE) {
        __syncthreads();                            // V of the last tile has been read
        stage(k + batch * n.kBatch + group * n.kHead, n.kToken, j, isKey, sKV);
        __syncthreads();
        float s[COLUMNS], top = largest;
        products(sQ, sKV, row, lane, s);
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            s[c] = sight.sees(query, j + lane + LANES * c) ? s[c] * scale * LOG2E : NEGATIVE_INFINITY;
            top = fmaxf(top, s[c]);
        }
        top = row_max(top);
        const float base = top == NEGATIVE_INFINITY ? 0.f : top, correction = exp2_fast(largest - base);
        sum *= correction;
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            const float p = exp2_fast(s[c] - base);
            sum += p;
            sP[row][lane + LANES * c] = p;
        }
#pragma unroll
        for (int c = 0; c < CHANNELS; c++) acc[c] *= correction;
        largest = top;
        __syncthreads();                            // K has been read, sP is written
        stage(v + batch * n.vBatch + group * n.vHead, n.vToken, j, isKey, sKV);
        __syncthreads();
        accumulate(sP, sKV, row, lane, acc);
    }
    sum = row_sum(sum);
    if (query >= n.queries) return;
    const bool blind = largest == NEGATIVE_INFINITY && sum == 0.f;
    write(out + ((batch * n.queries + query) * n.heads + head) * WIDTH, lane, acc, blind ? 0.f : 1.f / sum);
    if (lse && lane == 0) lse[(batch * n.heads + head) * n.queries + query] = blind ? NEGATIVE_INFINITY : LN2 * (largest + log2f(sum));
}

// p = exp(score - lse) and p (<dout, v> - delta), of one pair.
struct Pair {
    float p, ds;
    __device__ __forceinline__ Pair(bool seen, float product, float scale, float lse, float dp, float delta) {
        p = seen ? exp2_fast((product * scale - lse) * LOG2E) : 0.f;
        ds = seen ? p * (dp - delta) : 0.f;
    }
};

// dq (B, T, H, WIDTH) = scale sum_j ds_ij k_j. dout and delta belong to queries as out and lse do. Grid as above.
template <class T> __global__ void __launch_bounds__(THREADS)
attention_dq(const T* q, const T* k, const T* v, Sizes n, Mask mask, float scale, const T* dout, const float* lse, const float* delta,
        T* dq) {
    SHARED(Rows, sQ);
    SHARED(Rows, sDout);
    SHARED(Rows, sK);
    SHARED(Rows, sV);
    SHARED(Scores, sDs);
    const int batch = blockIdx.z, head = blockIdx.y, group = head / (int) (n.heads / n.groups), row = threadIdx.x / LANES,
            lane = threadIdx.x % LANES;
    const int first = blockIdx.x * TILE, query = first + row, lastQuery = min(first + TILE, (int) n.queries) - 1;
    const Sight sight(n, mask, batch);
    const auto isQuery = [&](int i) { return sight.has_query(i); };
    const auto isKey = [&](int j) { return sight.has_key(j); };
    stage(q + batch * n.qBatch + head * n.qHead, n.qToken, first, isQuery, sQ);
    stage(dout + (batch * n.queries * n.heads + head) * WIDTH, n.heads * WIDTH, first, isQuery, sDout);
    const i64 at = (batch * n.heads + head) * n.queries + min(query, (int) n.queries - 1);
    const float z = lse[at], d = delta[at];
    float acc[CHANNELS] = {};
    for (int j = sight.first_key(first) / TILE * TILE; j < sight.end_key(lastQuery); j += TILE) {
        __syncthreads();
        stage(k + batch * n.kBatch + group * n.kHead, n.kToken, j, isKey, sK);
        stage(v + batch * n.vBatch + group * n.vHead, n.vToken, j, isKey, sV);
        __syncthreads();
        float s[COLUMNS], dp[COLUMNS];
        products(sQ, sK, row, lane, s);
        products(sDout, sV, row, lane, dp);
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            const int key = j + lane + LANES * c;
            sDs[row][lane + LANES * c] = Pair(sight.sees(query, key), s[c], scale, z, dp[c], d).ds;
        }
        __syncwarp();                               // a row's threads are in one warp
        accumulate(sDs, sK, row, lane, acc);
    }
    if (query < n.queries) write(dq + ((batch * n.queries + query) * n.heads + head) * WIDTH, lane, acc, scale);
}

// dk, dv (B, S, G, WIDTH): dv_j = sum_i p_ij dout_i, dk_j = scale sum_i ds_ij q_i, over all queries of all heads that share the key-value
// head. Grid: tiles of keys, key-value heads, sequences.
template <class T> __global__ void __launch_bounds__(THREADS)
attention_dkv(const T* q, const T* k, const T* v, Sizes n, Mask mask, float scale, const T* dout, const float* lse, const float* delta,
        T* dk, T* dv) {
    SHARED(Rows, sQ);
    SHARED(Rows, sDout);
    SHARED(Rows, sK);
    SHARED(Rows, sV);
    SHARED(Scores, sP);
    SHARED(Scores, sDs);
    SHARED(float, sLse, [TILE]);
    SHARED(float, sDelta, [TILE]);
    const int batch = blockIdx.z, group = blockIdx.y, shared = (int) (n.heads / n.groups), row = threadIdx.x / LANES,
            lane = threadIdx.x % LANES;
    const int first = blockIdx.x * TILE, key = first + row, lastKey = min(first + TILE, (int) n.keys) - 1;
    const Sight sight(n, mask, batch);
    const auto isQuery = [&](int i) { return sight.has_query(i); };
    const auto isKey = [&](int j) { return sight.has_key(j); };
    stage(k + batch * n.kBatch + group * n.kHead, n.kToken, first, isKey, sK);
    stage(v + batch * n.vBatch + group * n.vHead, n.vToken, first, isKey, sV);
    float accK[CHANNELS] = {}, accV[CHANNELS] = {};
    for (int head = group * shared; head < (group + 1) * shared; head++) {
        for (int i = sight.first_query(first) / TILE * TILE; i < sight.end_query(lastKey); i += TILE) {
            __syncthreads();
            stage(q + batch * n.qBatch + head * n.qHead, n.qToken, i, isQuery, sQ);
            stage(dout + (batch * n.queries * n.heads + head) * WIDTH, n.heads * WIDTH, i, isQuery, sDout);
            if (threadIdx.x < TILE) {
                const i64 at = (batch * n.heads + head) * n.queries + min(i + (int) threadIdx.x, (int) n.queries - 1);
                sLse[threadIdx.x] = lse[at];
                sDelta[threadIdx.x] = delta[at];
            }
            __syncthreads();
            float s[COLUMNS], dp[COLUMNS];
            products(sK, sQ, row, lane, s);
            products(sV, sDout, row, lane, dp);
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                const int column = lane + LANES * c;
                const Pair pair(key < n.keys && sight.sees(i + column, key), s[c], scale, sLse[column], dp[c], sDelta[column]);
                sP[row][column] = pair.p;
                sDs[row][column] = pair.ds;
            }
            __syncwarp();
            accumulate(sP, sDout, row, lane, accV);
            accumulate(sDs, sQ, row, lane, accK);
        }
    }
    if (key >= n.keys) return;
    write(dk + ((batch * n.keys + key) * n.groups + group) * WIDTH, lane, accK, scale);
    write(dv + ((batch * n.keys + key) * n.groups + group) * WIDTH, lane, accV, 1.f);
}
