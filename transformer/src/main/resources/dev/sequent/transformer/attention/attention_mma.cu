// Attention for BF16 by the matrix units, forward and backward: mma.sync m16n8k16, sums in float, softmax online in float. Same results as
// attention.cu to the precision of BF16: probabilities and the derivatives by scores are rounded to it before they are multiplied.
//
// Tiling (after Dao 2023). Four warps. Forward and dq: a block holds TILE = 64 queries of one head, 16 for each warp, whose rows stay in
// registers, and walks over tiles of BLOCK keys in shared memory. dk, dv: a block holds 64 keys, 16 for each warp, and walks over tiles of
// queries, with the matrix of scores transposed, so that here, too, the result of one product is the left operand of the next without
// leaving the registers.
//
// Fragments (PTX ISA, m16n8k16), g = lane / 4, c = lane % 4: the left operand, 16 x 16, has pairs of neighbours (row g, columns 2c, 2c +
// 1), (row g + 8, the same), (row g, columns 2c + 8, 2c + 9), (row g + 8, those); the right one, 16 x 8, (rows 2c, 2c + 1, column g), (rows
// 2c + 8, 2c + 9, column g); the sum, 16 x 8, (row g, columns 2c, 2c + 1), (row g + 8, the same).
//
// dq and (dk, dv) come from two kernels, each of which adds up in the order of its walk: no atomics, equal bits every time.
//
// Rows that are padding are read as zeros. Macros: WIDTH, channels of a head, a multiple of 16; TILE, 64.
#include "attention.cuh"

constexpr int WARPS = 4, THREADS = 32 * WARPS;
constexpr int BLOCK = WIDTH <= 64 ? 64 : 32;        // keys of a tile, forward and dq
constexpr int QUERIES = WIDTH <= 64 ? 32 : 16;      // queries of a tile, dk and dv
constexpr int STEPS = WIDTH / 16, COLUMNS = WIDTH / 8;
constexpr int STRIDE = WIDTH + 8;                   // rows in shared memory begin four banks apart

typedef float Sum[4];

__device__ __forceinline__ u32 pack(float low, float high) { return (u32) to_bf16(low).bits | (u32) to_bf16(high).bits << 16; }

// sum += a b
__device__ __forceinline__ void multiply(Sum& sum, const u32 (&a)[4], u32 b0, u32 b1) {
#ifdef CPU_SHIM
    const uint64_t words[6] = {a[0], a[1], a[2], a[3], b0, b1};
    auto* all = shim::collect<6>(FULL_WARP, words);
    const auto half = [](uint64_t word, int high) { return to_float(bf16{(u16) (high ? word >> 16 : word)}); };
    const int g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
    for (int i = 0; i < 4; i++) {
        const int row = g + i / 2 * 8, column = 2 * c + i % 2;
        for (int k = 0; k < 16; k++) {
            sum[i] += half(all[row % 8 * 4 + k % 8 / 2][k / 8 * 2 + row / 8], k % 2) * half(all[column * 4 + k % 8 / 2][4 + k / 8], k % 2);
        }
    }
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// Rows of a head in shared memory.
struct Staged {
    bf16* at;
    __device__ __forceinline__ const bf16* row(int r) const { return at + r * STRIDE; }
    __device__ __forceinline__ u32 pair(int r, int column) const { return *reinterpret_cast<const u32*>(row(r) + column); }

    // Tokens [first, first + count) of a head, zeros for those that `has` denies; 16 bytes at a time where the head allows it.
    template <class Has> __device__ __forceinline__ void load(const bf16* x, i64 distance, int first, int count, Has has) {
        const bool wide = ((u64) x | (u64) distance * sizeof(bf16)) % 16 == 0;
        for (int i = threadIdx.x; i < count * COLUMNS; i += THREADS) {
            const int r = i / COLUMNS, c = i % COLUMNS * 8;
            const bf16* source = x + (i64) (first + r) * distance + c;
            uint4 v = make_uint4(0, 0, 0, 0);
            if (has(first + r)) {
                if (wide) {
                    v = *reinterpret_cast<const uint4*>(source);
                } else {
                    u32 pairs[4];
#pragma unroll
                    for (int k = 0; k < 4; k++) pairs[k] = source[2 * k].bits | (u32) source[2 * k + 1].bits << 16;
                    v = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
                }
            }
            *reinterpret_cast<uint4*>(at + r * STRIDE + c) = v;
        }
    }

    // Right operands (k = 16 rows from r on) x (n = 8 columns from column on) and the same 8 columns further: rows are k here, so they are
    // turned.
    __device__ __forceinline__ void turned(int r, int column, u32 (&b)[4]) const {
        const int lane = threadIdx.x % 32;
        const bf16* source = row(r + lane % 16) + column + lane / 16 * 8;
#ifdef CPU_SHIM
        const uint64_t word = (uint64_t) (uintptr_t) source;
        auto* all = shim::collect<1>(FULL_WARP, &word);
        for (int m = 0; m < 4; m++) {
            const bf16* low = (const bf16*) (uintptr_t) all[m * 8 + lane % 4 * 2][0];
            const bf16* high = (const bf16*) (uintptr_t) all[m * 8 + lane % 4 * 2 + 1][0];
            b[m] = low[lane / 4].bits | (u32) high[lane / 4].bits << 16;
        }
#else
        const u32 address = (u32) __cvta_generic_to_shared(source);
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
                : "r"(address) : "memory");
#endif
    }
};

// 16 tokens of a head from `first` on as left operands, from global memory; zeros for tokens that `has` denies.
template <class Has> __device__ __forceinline__ void load_left(const bf16* x, i64 distance, int first, Has has, u32 (&a)[STEPS][4]) {
    const int g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int token = first + g + i % 2 * 8;
        const bool there = has(token);
        const bf16* source = x + (i64) token * distance + 2 * c + i / 2 * 8;
#pragma unroll
        for (int k = 0; k < STEPS; k++) a[k][i] = there ? source[16 * k].bits | (u32) source[16 * k + 1].bits << 16 : 0;
    }
}

// s = a x^T for rows [0, 8 N) of x.
template <int N> __device__ __forceinline__ void scores(const u32 (&a)[STEPS][4], const Staged& x, Sum (&s)[N]) {
    const int g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
#pragma unroll
    for (int n = 0; n < N; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) s[n][i] = 0.f;
#pragma unroll
        for (int k = 0; k < STEPS; k++) multiply(s[n], a[k], x.pair(n * 8 + g, k * 16 + 2 * c), x.pair(n * 8 + g, k * 16 + 2 * c + 8));
    }
}

// sum += w x, with w rounded to BF16, over rows [0, 8 N) of x: the sums of one product are the left operands of the next.
template <int N> __device__ __forceinline__ void accumulate(const Sum (&w)[N], const Staged& x, Sum (&sum)[COLUMNS]) {
#pragma unroll
    for (int k = 0; k < N / 2; k++) {
        const u32 a[4] = {pack(w[2 * k][0], w[2 * k][1]), pack(w[2 * k][2], w[2 * k][3]), pack(w[2 * k + 1][0], w[2 * k + 1][1]),
                pack(w[2 * k + 1][2], w[2 * k + 1][3])};
#pragma unroll
        for (int n = 0; n < COLUMNS; n += 2) {
            u32 b[4];
            x.turned(16 * k, 8 * n, b);
            multiply(sum[n], a, b[0], b[1]);
            multiply(sum[n + 1], a, b[2], b[3]);
        }
    }
}

// Writes rows `first` + g and + g + 8 of sums, each times its factor, as tokens of a dense tensor; those below `end`.
__device__ __forceinline__ void write(bf16* x, i64 distance, int first, int end, const Sum (&sum)[COLUMNS], float low, float high) {
    const int g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
#pragma unroll
    for (int n = 0; n < COLUMNS; n++) {
        if (first + g < end) *reinterpret_cast<u32*>(x + (i64) (first + g) * distance + 8 * n + 2 * c) = pack(sum[n][0] * low,
                sum[n][1] * low);
        if (first + g + 8 < end) *reinterpret_cast<u32*>(x + (i64) (first + g + 8) * distance + 8 * n + 2 * c) = pack(sum[n][2] * high,
                sum[n][3] * high);
    }
}

// Over the four threads that share a row of a sum.
__device__ __forceinline__ float row_sum(float v) {
    v += __shfl_xor_sync(FULL_WARP, v, 1);
    return v + __shfl_xor_sync(FULL_WARP, v, 2);
}
__device__ __forceinline__ float row_max(float v) {
    v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 1));
    return fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 2));
}

// Writes out (B, T, H, WIDTH), and lse (B, H, T) unless it is null. Grid: tiles of queries, heads, sequences.
template <class T> __global__ void __launch_bounds__(THREADS)
attention_forward(const T* q, const T* k, const T* v, Sizes n, Mask mask, float scale, T* out, float* lse) {
    SHARED(uint4, memoryK, [BLOCK * STRIDE / 8]);
    SHARED(uint4, memoryV, [BLOCK * STRIDE / 8]);
    Staged sK = {reinterpret_cast<bf16*>(memoryK)}, sV = {reinterpret_cast<bf16*>(memoryV)};
    const int batch = blockIdx.z, head = blockIdx.y, group = head / (int) (n.heads / n.groups), g = threadIdx.x % 32 / 4,
            c = threadIdx.x % 4;
    const int first = blockIdx.x * TILE, own = first + threadIdx.x / 32 * 16, lastQuery = min(first + TILE, (int) n.queries) - 1;
    const Sight sight(n, mask, batch);
    const auto isKey = [&](int j) { return sight.has_key(j); };
    u32 a[STEPS][4];
    load_left(q + batch * n.qBatch + head * n.qHead, n.qToken, own, [&](int i) { return sight.has_query(i); }, a);
    float largest[2] = {NEGATIVE_INFINITY, NEGATIVE_INFINITY}, total[2] = {0.f, 0.f};      // of rows g and g + 8
    Sum sum[COLUMNS] = {};
    for (int j = sight.first_key(first) / BLOCK * BLOCK; j < sight.end_key(lastQuery); j += BLOCK) {
        __syncthreads();                                        // the last tile has been read
        sK.load(k + batch * n.kBatch + group * n.kHead, n.kToken, j, BLOCK, isKey);
        sV.load(v + batch * n.vBatch + group * n.vHead, n.vToken, j, BLOCK, isKey);
        __syncthreads();
        Sum s[BLOCK / 8];
        scores(a, sK, s);
        float top[2] = {largest[0], largest[1]}, base[2], correction[2];
#pragma unroll
        for (int m = 0; m < BLOCK / 8; m++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                s[m][i] = sight.sees(own + g + i / 2 * 8, j + m * 8 + 2 * c + i % 2) ? s[m][i] * scale * LOG2E : NEGATIVE_INFINITY;
                top[i / 2] = fmaxf(top[i / 2], s[m][i]);
            }
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            top[r] = row_max(top[r]);
            base[r] = top[r] == NEGATIVE_INFINITY ? 0.f : top[r];
            correction[r] = exp2_fast(largest[r] - base[r]);
            total[r] *= correction[r];
            largest[r] = top[r];
        }
#pragma unroll
        for (int m = 0; m < BLOCK / 8; m++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                s[m][i] = exp2_fast(s[m][i] - base[i / 2]);
                total[i / 2] += s[m][i];
            }
        }
#pragma unroll
        for (int m = 0; m < COLUMNS; m++) {
#pragma unroll
            for (int i = 0; i < 4; i++) sum[m][i] *= correction[i / 2];
        }
        accumulate(s, sV, sum);
    }
    float factor[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        total[r] = row_sum(total[r]);
        const bool blind = largest[r] == NEGATIVE_INFINITY && total[r] == 0.f;
        const int query = own + g + 8 * r;
        factor[r] = blind ? 0.f : 1.f / total[r];
        if (lse && c == 0 && query < n.queries) {
            lse[(batch * n.heads + head) * n.queries + query] = blind ? NEGATIVE_INFINITY : LN2 * (largest[r] + log2f(total[r]));
        }
    }
    write(out + (batch * n.queries * n.heads + head) * WIDTH, n.heads * WIDTH, own, (int) n.queries, sum, factor[0], factor[1]);
}

// dq (B, T, H, WIDTH) = scale sum_j ds_ij k_j with ds = p (<dout, v> - delta), p = exp(score - lse). Grid as above.
template <class T> __global__ void __launch_bounds__(THREADS)
attention_dq(const T* q, const T* k, const T* v, Sizes n, Mask mask, float scale, const T* dout, const float* lse, const float* delta,
        T* dq) {
    SHARED(uint4, memoryK, [BLOCK * STRIDE / 8]);
    SHARED(uint4, memoryV, [BLOCK * STRIDE / 8]);
    Staged sK = {reinterpret_cast<bf16*>(memoryK)}, sV = {reinterpret_cast<bf16*>(memoryV)};
    const int batch = blockIdx.z, head = blockIdx.y, group = head / (int) (n.heads / n.groups), g = threadIdx.x % 32 / 4,
            c = threadIdx.x % 4;
    const int first = blockIdx.x * TILE, own = first + threadIdx.x / 32 * 16, lastQuery = min(first + TILE, (int) n.queries) - 1;
    const Sight sight(n, mask, batch);
    const auto isQuery = [&](int i) { return sight.has_query(i); };
    const auto isKey = [&](int j) { return sight.has_key(j); };
    u32 a[STEPS][4], d[STEPS][4];
    load_left(q + batch * n.qBatch + head * n.qHead, n.qToken, own, isQuery, a);
    load_left(dout + (batch * n.queries * n.heads + head) * WIDTH, n.heads * WIDTH, own, isQuery, d);
    float z[2], shift[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const i64 at = (batch * n.heads + head) * n.queries + min(own + g + 8 * r, (int) n.queries - 1);
        z[r] = lse[at];
        shift[r] = delta[at];
    }
    Sum sum[COLUMNS] = {};
    for (int j = sight.first_key(first) / BLOCK * BLOCK; j < sight.end_key(lastQuery); j += BLOCK) {
        __syncthreads();
        sK.load(k + batch * n.kBatch + group * n.kHead, n.kToken, j, BLOCK, isKey);
        sV.load(v + batch * n.vBatch + group * n.vHead, n.vToken, j, BLOCK, isKey);
        __syncthreads();
        Sum s[BLOCK / 8], dp[BLOCK / 8];
        scores(a, sK, s);
        scores(d, sV, dp);
#pragma unroll
        for (int m = 0; m < BLOCK / 8; m++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const bool seen = sight.sees(own + g + i / 2 * 8, j + m * 8 + 2 * c + i % 2);
                s[m][i] = seen ? exp2_fast((s[m][i] * scale - z[i / 2]) * LOG2E) * (dp[m][i] - shift[i / 2]) : 0.f;
            }
        }
        accumulate(s, sK, sum);
    }
    write(dq + (batch * n.queries * n.heads + head) * WIDTH, n.heads * WIDTH, own, (int) n.queries, sum, scale, scale);
}

// dk, dv (B, S, G, WIDTH): dv_j = sum_i p_ij dout_i, dk_j = scale sum_i ds_ij q_i, over all queries of all heads that share the key-value
// head. Grid: tiles of 64 keys, key-value heads, sequences.
template <class T> __global__ void __launch_bounds__(THREADS)
attention_dkv(const T* q, const T* k, const T* v, Sizes n, Mask mask, float scale, const T* dout, const float* lse, const float* delta,
        T* dk, T* dv) {
    SHARED(uint4, memoryQ, [QUERIES * STRIDE / 8]);
    SHARED(uint4, memoryDout, [QUERIES * STRIDE / 8]);
    SHARED(float, sLse, [QUERIES]);
    SHARED(float, sDelta, [QUERIES]);
    Staged sQ = {reinterpret_cast<bf16*>(memoryQ)}, sDout = {reinterpret_cast<bf16*>(memoryDout)};
    const int batch = blockIdx.z, group = blockIdx.y, shared = (int) (n.heads / n.groups), g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
    const int first = blockIdx.x * TILE, own = first + threadIdx.x / 32 * 16, lastKey = min(first + TILE, (int) n.keys) - 1;
    const Sight sight(n, mask, batch);
    const auto isQuery = [&](int i) { return sight.has_query(i); };
    const auto isKey = [&](int j) { return sight.has_key(j); };
    u32 a[STEPS][4], w[STEPS][4];
    load_left(k + batch * n.kBatch + group * n.kHead, n.kToken, own, isKey, a);
    load_left(v + batch * n.vBatch + group * n.vHead, n.vToken, own, isKey, w);
    Sum sumK[COLUMNS] = {}, sumV[COLUMNS] = {};
    for (int head = group * shared; head < (group + 1) * shared; head++) {
        for (int i0 = sight.first_query(first) / QUERIES * QUERIES; i0 < sight.end_query(lastKey); i0 += QUERIES) {
            __syncthreads();
            sQ.load(q + batch * n.qBatch + head * n.qHead, n.qToken, i0, QUERIES, isQuery);
            sDout.load(dout + (batch * n.queries * n.heads + head) * WIDTH, n.heads * WIDTH, i0, QUERIES, isQuery);
            if (threadIdx.x < QUERIES) {
                const i64 at = (batch * n.heads + head) * n.queries + min(i0 + (int) threadIdx.x, (int) n.queries - 1);
                sLse[threadIdx.x] = lse[at];
                sDelta[threadIdx.x] = delta[at];
            }
            __syncthreads();
            Sum p[QUERIES / 8], ds[QUERIES / 8];
            scores(a, sQ, p);
            scores(w, sDout, ds);
#pragma unroll
            for (int m = 0; m < QUERIES / 8; m++) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int key = own + g + i / 2 * 8, query = m * 8 + 2 * c + i % 2;
                    const bool seen = key < n.keys && sight.sees(i0 + query, key);
                    p[m][i] = seen ? exp2_fast((p[m][i] * scale - sLse[query]) * LOG2E) : 0.f;
                    ds[m][i] = seen ? p[m][i] * (ds[m][i] - sDelta[query]) : 0.f;
                }
            }
            accumulate(p, sDout, sumV);
            accumulate(ds, sQ, sumK);
        }
    }
    write(dk + (batch * n.keys * n.groups + group) * WIDTH, n.groups * WIDTH, own, (int) n.keys, sumK, scale, scale);
    write(dv + (batch * n.keys * n.groups + group) * WIDTH, n.groups * WIDTH, own, (int) n.keys, sumV, 1.f, 1.f);
}
