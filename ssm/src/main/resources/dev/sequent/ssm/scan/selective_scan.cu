// The selective scan (Gu and Dao 2023, algorithm 2), forward and backward, on tensors (B, T, E):
//
//   step_t = softplus(delta_t + bias)      h_t = exp(step_t A) h_{t-1} + step_t u_t B_t      y_t = (<C_t, h_t> + D u_t) SiLU(z_t)
//
// Tiling. A block holds CHANNELS neighbouring channels of one sequence and walks along time in tiles of TILE tokens. LANES neighbouring
// threads share a channel and hold STATES of its states each, in registers, so that there is no scan inside a block and one exponential
// per state and token. B_t and C_t of a tile lie in shared memory, where all channels of the block read them; step sizes and inputs are
// staged there too, by coalesced reads along E, and every softplus is computed once.
//
// Few sequences and channels leave most of a GPU idle. Then time is cut into chunks (the grid's z), in three passes: the end state of every
// chunk from a zero state, and the sum of its steps, exp(A sum) being the chunk's decay; a scan over chunks; the full pass from the right
// starting states. The backward pass does the same from the end, with the derivative by the state in place of the state.
//
// The backward pass recomputes the states of a tile from the one that the forward pass saved at its start, keeps them in shared memory, and
// walks back. The derivatives by B and C are sums over all channels: over those of a warp by halving exchanges (7 shuffles for 8 sums over
// 8 channels), over warps in shared memory, over blocks by sum_parts, always in the same order. No atomics.
//
// Macros: STATE_SIZE, the states N of a channel; LANES, STATES and TILE as said, LANES * STATES >= N being a power of two, LANES <= 16.
#include "sequent.cuh"
#include "fused.cuh"

constexpr int THREADS = 128;
constexpr int CHANNELS = THREADS / LANES;
constexpr int PADDED = LANES * STATES;
constexpr int WARPS = THREADS / 32;
constexpr int RESET = 1, SKIP = 2;
constexpr float LOG2E = 1.4426950408889634f, LN2 = 0.6931471805599453f;

// What is scanned, null where absent: u, delta, z (B, T, E) and b, c (B, T, N) in rows of any distance; a (E, N); skip, bias (E); flags (B,
// T).
template <class T> struct Operands {
    const T *u, *delta, *b, *c, *z, *a, *skip, *bias;
    const int* flags;
};
// Sizes, the distances of rows, and the tokens of a chunk, a multiple of TILE.
struct Sizes {
    i64 time, channels, softplus, chunk, uRow, deltaRow, bRow, cRow, zRow;
};
// The part of the work that is this thread's.
struct Place {
    int batch, chunk, from, to, column, lane, channel;
    bool on;
    __device__ Place(const Sizes& n) {
        batch = blockIdx.y;
        chunk = blockIdx.z;
        from = (int) (chunk * n.chunk);
        to = (int) min(from + n.chunk, n.time);
        column = threadIdx.x / LANES;
        lane = threadIdx.x % LANES;
        channel = blockIdx.x * CHANNELS + column;
        on = channel < n.channels;
    }
    // Whether state i of this thread exists.
    __device__ bool has(int i) const { return on && lane * STATES + i < STATE_SIZE; }
    // Where state i of this thread lies in row `row` of a (rows, E, N) tensor.
    __device__ i64 at(i64 row, i64 channels, int i) const { return (row * channels + channel) * STATE_SIZE + lane * STATES + i; }
};

// Sum over the lanes of a channel; all of them get it.
__device__ __forceinline__ float sum_channel(float v) {
#pragma unroll
    for (int bit = 1; bit < LANES; bit <<= 1) v += __shfl_xor_sync(FULL_WARP, v, bit);
    return v;
}

// Sums each of 2 STATES numbers over the channels of a warp. At every exchange a thread gives away half of its numbers and keeps the sums
// of the others, as long as it has more than one. Afterwards it holds `count` sums from number `first` on; `owner` picks one of those who
// hold the same.
struct ChannelSums {
    float v[2 * STATES];
    int first, count;
    bool owner;
    __device__ __forceinline__ void reduce() {
        const int lane = threadIdx.x % 32;
        first = 0;
        count = 2 * STATES;
        owner = true;
#pragma unroll
        for (int bit = LANES; bit < 32; bit <<= 1) {
            const bool upper = lane & bit;
            if (count > 1) {
                count /= 2;
#pragma unroll
                for (int i = 0; i < STATES; i++) {
                    if (i < count) {
                        const float give = upper ? v[i] : v[i + count], keep = upper ? v[i + count] : v[i];
                        v[i] = keep + __shfl_xor_sync(FULL_WARP, give, bit);
                    }
                }
                first += upper ? count : 0;
            } else {
                v[0] += __shfl_xor_sync(FULL_WARP, v[0], bit);
                owner = owner && !upper;
            }
        }
    }
};

// The step size of a token and a channel, and its derivative by delta.
template <class T> __device__ __forceinline__ float step_size(const Operands<T>& x, const Sizes& n, i64 row, int channel, float* slope) {
    const float v = to_float(x.delta[row * n.deltaRow + channel]) + (x.bias ? to_float(x.bias[channel]) : 0.f);
    if (!n.softplus) {
        *slope = 1.f;
        return v;
    }
    *slope = 1.f / (1.f + expf(-v));
    return v <= 20.f ? log1pf(expf(v)) : v;
}

// Copies B or C of some tokens to shared memory, padded with zeros.
template <class T> __device__ __forceinline__ void stage_states(const T* x, i64 distance, i64 row, int rows, float (&tile)[TILE][PADDED]) {
    for (int i = threadIdx.x; i < rows * PADDED; i += THREADS) {
        const int t = i / PADDED, s = i % PADDED;
        tile[t][s] = s < STATE_SIZE ? to_float(x[(row + t) * distance + s]) : 0.f;
    }
}

// Step sizes and inputs of a tile; zeros beyond the last channel.
template <class T> __device__ __forceinline__ void stage_tokens(const Operands<T>& x, const Sizes& n, i64 row, int rows,
        float (&step)[TILE][CHANNELS], float (&u)[TILE][CHANNELS]) {
    for (int i = threadIdx.x; i < rows * CHANNELS; i += THREADS) {
        const int t = i / CHANNELS, c = i % CHANNELS, channel = blockIdx.x * CHANNELS + c;
        const bool on = channel < n.channels;
        float slope;
        step[t][c] = on ? step_size(x, n, row + t, channel, &slope) : 0.f;
        u[t][c] = on ? to_float(x.u[(row + t) * n.uRow + channel]) : 0.f;
    }
}

// log2(e) A of this thread's states.
template <class T> __device__ __forceinline__ void load_matrix(const Operands<T>& x, const Place& p, float (&a)[STATES]) {
#pragma unroll
    for (int i = 0; i < STATES; i++) a[i] = p.has(i) ? to_float(x.a[p.at(0, 0, i)]) * LOG2E : 0.f;
}

// The state before this thread's chunk: from `chunks` (B, chunks, E, N) if there are several, else from `whole` (B, E, N), else zero.
template <class T> __device__ __forceinline__ void load_state(const Place& p, const Sizes& n, const float* chunks, const T* whole,
        float (&h)[STATES]) {
#pragma unroll
    for (int i = 0; i < STATES; i++) {
        h[i] = 0.f;
        if (p.has(i) && chunks) h[i] = chunks[p.at((i64) p.batch * gridDim.z + p.chunk, n.channels, i)];
        else if (p.has(i) && whole) h[i] = to_float(whole[p.at(p.batch, n.channels, i)]);
    }
}

// Forward pass of one chunk. Writes y (B, T, E), the final state (B, E, N), and, where `saved` is given, the state before every tile.
// With `ends` it only looks for the end state of the chunk, from a zero state, and for the sum of its steps.
template <class T> __global__ void __launch_bounds__(THREADS)
scan_forward(Operands<T> x, Sizes n, const T* initial, const float* starts, float* saved, T* y, T* last, float* ends, float* sums) {
    SHARED(float, sStep, [TILE][CHANNELS]);
    SHARED(float, sU, [TILE][CHANNELS]);
    SHARED(float, sY, [TILE][CHANNELS]);
    SHARED(float, sB, [TILE][PADDED]);
    SHARED(float, sC, [TILE][PADDED]);
    const Place p(n);
    const i64 tiles = (n.time + TILE - 1) / TILE;
    float a[STATES], h[STATES], total = 0.f;
    load_matrix(x, p, a);
    load_state(p, n, starts, ends ? nullptr : initial, h);
    for (int from = p.from; from < p.to; from += TILE) {
        const int rows = min(TILE, p.to - from);
        const i64 row = (i64) p.batch * n.time + from;
        if (saved) {
#pragma unroll
            for (int i = 0; i < STATES; i++) if (p.has(i)) saved[p.at(p.batch * tiles + from / TILE, n.channels, i)] = h[i];
        }
        __syncthreads();                                        // the last tile has been read
        stage_tokens(x, n, row, rows, sStep, sU);
        stage_states(x.b, n.bRow, row, rows, sB);
        if (!ends) stage_states(x.c, n.cRow, row, rows, sC);
        __syncthreads();
        for (int t = 0; t < rows; t++) {
            const int flag = x.flags ? x.flags[row + t] : 0;    // the same for all threads of a block
            if (flag & RESET) {
#pragma unroll
                for (int i = 0; i < STATES; i++) h[i] = 0.f;
            }
            if (flag & SKIP) continue;
            const float step = sStep[t][p.column], drive = step * sU[t][p.column];
            float sum = 0.f;
#pragma unroll
            for (int i = 0; i < STATES; i++) {
                h[i] = exp2_fast(step * a[i]) * h[i] + drive * sB[t][p.lane * STATES + i];
                if (!ends) sum += h[i] * sC[t][p.lane * STATES + i];
            }
            total += step;
            if (ends) continue;
            sum = sum_channel(sum);
            if (p.lane == 0) sY[t][p.column] = sum;
        }
        if (ends) continue;
        __syncthreads();
        for (int i = threadIdx.x; i < rows * CHANNELS; i += THREADS) {
            const int t = i / CHANNELS, c = i % CHANNELS, channel = blockIdx.x * CHANNELS + c;
            if (channel >= n.channels) continue;
            float out = 0.f;
            if (!(x.flags && x.flags[row + t] & SKIP)) {
                out = sY[t][c] + (x.skip ? to_float(x.skip[channel]) * sU[t][c] : 0.f);
                if (x.z) out *= silu(to_float(x.z[(row + t) * n.zRow + channel]));
            }
            y[(row + t) * n.channels + channel] = from_float<T>(out);
        }
    }
    const i64 chunk = (i64) p.batch * gridDim.z + p.chunk;
    if (ends && p.on && p.lane == 0) sums[chunk * n.channels + p.channel] = total;
#pragma unroll
    for (int i = 0; i < STATES; i++) {
        if (ends && p.has(i)) ends[p.at(chunk, n.channels, i)] = h[i];
        if (!ends && p.has(i) && p.to == n.time) last[p.at(p.batch, n.channels, i)] = from_float<T>(h[i]);
    }
}

// Scan over chunks, a thread for every state: turns the end of every chunk from zero into its true start. `resets` says in which chunks a
// document starts: nothing passes through them. In reverse the same for derivatives, from the last chunk to the first.
template <class T> __global__ void scan_chunks(const T* a, const T* first, const float* sums, const int* resets, float* ends, int chunks,
        int channels,
        i64 total, int reverse) {
    for (i64 i = grid_thread(); i < total; i += grid_threads()) {
        const i64 size = (i64) channels * STATE_SIZE, batch = i / size, state = i % size;
        const float decay = to_float(a[state]) * LOG2E;
        float s = first ? to_float(first[i]) : 0.f;
        for (int k = 0; k < chunks; k++) {
            const i64 chunk = batch * chunks + (reverse ? chunks - 1 - k : k);
            const float end = ends[chunk * size + state];
            ends[chunk * size + state] = s;
            s = (resets && resets[chunk] ? 0.f : exp2_fast(decay * sums[chunk * channels + state / STATE_SIZE]) * s) + end;
        }
    }
}

// What the gate leaves of the derivative by y: that by <C, h> + D u. Zero beyond the last channel.
template <class T> __device__ __forceinline__ void stage_gradient(const Operands<T>& x, const Sizes& n, const T* dy, i64 row, int rows,
        float (&g)[TILE][CHANNELS]) {
    for (int i = threadIdx.x; i < rows * CHANNELS; i += THREADS) {
        const int t = i / CHANNELS, c = i % CHANNELS, channel = blockIdx.x * CHANNELS + c;
        float v = 0.f;
        if (dy && channel < n.channels) {
            v = to_float(dy[(row + t) * n.channels + channel]);
            if (x.z) v *= silu(to_float(x.z[(row + t) * n.zRow + channel]));
        }
        g[t][c] = v;
    }
}

// The derivative by the state before every chunk when that after it is zero, and the sum of the chunk's steps.
template <class T> __global__ void __launch_bounds__(THREADS)
scan_carries(Operands<T> x, Sizes n, const T* dy, float* ends, float* sums) {
    SHARED(float, sStep, [TILE][CHANNELS]);
    SHARED(float, sU, [TILE][CHANNELS]);
    SHARED(float, sG, [TILE][CHANNELS]);
    SHARED(float, sC, [TILE][PADDED]);
    const Place p(n);
    float a[STATES], carry[STATES] = {}, total = 0.f;
    load_matrix(x, p, a);
    for (int from = p.from + (p.to - p.from - 1) / TILE * TILE; from >= p.from; from -= TILE) {
        const int rows = min(TILE, p.to - from);
        const i64 row = (i64) p.batch * n.time + from;
        __syncthreads();
        stage_tokens(x, n, row, rows, sStep, sU);
        stage_gradient(x, n, dy, row, rows, sG);
        stage_states(x.c, n.cRow, row, rows, sC);
        __syncthreads();
        for (int t = rows - 1; t >= 0; t--) {
            const int flag = x.flags ? x.flags[row + t] : 0;
            if (!(flag & SKIP)) {
                const float step = sStep[t][p.column], g = sG[t][p.column];
                total += step;
#pragma unroll
                for (int i = 0; i < STATES; i++) carry[i] = exp2_fast(step * a[i]) * (carry[i] + g * sC[t][p.lane * STATES + i]);
            }
            if (flag & RESET) {
#pragma unroll
                for (int i = 0; i < STATES; i++) carry[i] = 0.f;
            }
        }
    }
    const i64 chunk = (i64) p.batch * gridDim.z + p.chunk;
    if (p.on && p.lane == 0) sums[chunk * n.channels + p.channel] = total;
#pragma unroll
    for (int i = 0; i < STATES; i++) if (p.has(i)) ends[p.at(chunk, n.channels, i)] = carry[i];
}

// Backward pass of one chunk, with d_t = dL/dh_t:
//
//   d_t = g_t C_t + exp(step_{t+1} A) d_{t+1}      g_t = dy_t SiLU(z_t)
//   dB_t = sum_E step_t u_t d_t      dC_t = sum_E g_t h_t      dA = sum_t step_t k_t,  k_t = d_t exp(step_t A) h_{t-1}
//   dstep_t = <A, k_t> + u_t <d_t, B_t>      du_t = step_t <d_t, B_t> + g_t D      dD = sum_t g_t u_t
//
// Parts: of a (B chunks, E, N), of skip and bias (B chunks, E), of b and c (blocks of channels, B, T, N).
template <class T> __global__ void __launch_bounds__(THREADS)
scan_backward(Operands<T> x, Sizes n, const T* dy, const T* dlast, const float* carries, const float* saved, T* du, T* ddelta, T* dz,
        T* dinitial,
        float* aParts, float* skipParts, float* biasParts, float* bParts, float* cParts) {
    SHARED(float, sStep, [TILE][CHANNELS]);         // then the derivative by delta
    SHARED(float, sSlope, [TILE][CHANNELS]);
    SHARED(float, sU, [TILE][CHANNELS]);            // then the derivative by u
    SHARED(float, sG, [TILE][CHANNELS]);
    SHARED(float, sY, [TILE][CHANNELS]);            // <C, h> + D u
    SHARED(float, sB, [TILE][PADDED]);
    SHARED(float, sC, [TILE][PADDED]);
    // the states before every token, each read by the thread that wrote it; then sums of warps
    SHARED(float, sH, [TILE][STATES][THREADS]);
    const Place p(n);
    const i64 tiles = (n.time + TILE - 1) / TILE;
    const float skip = p.on && x.skip ? to_float(x.skip[p.channel]) : 0.f;
    const int warp = threadIdx.x / 32;
    float a[STATES], carry[STATES], da[STATES] = {}, dskip = 0.f, dbias = 0.f;
    load_matrix(x, p, a);
    load_state(p, n, carries, dlast, carry);
    for (int from = p.from + (p.to - p.from - 1) / TILE * TILE; from >= p.from; from -= TILE) {
        const int rows = min(TILE, p.to - from);
        const i64 row = (i64) p.batch * n.time + from;
        // no barrier here: what the last tile's end still reads of these elements is read by the thread that now overwrites them
        for (int i = threadIdx.x; i < rows * CHANNELS; i += THREADS) {
            const int t = i / CHANNELS, c = i % CHANNELS, channel = blockIdx.x * CHANNELS + c;
            const bool on = channel < n.channels;
            sStep[t][c] = on ? step_size(x, n, row + t, channel, &sSlope[t][c]) : (sSlope[t][c] = 0.f);
            sU[t][c] = on ? to_float(x.u[(row + t) * n.uRow + channel]) : 0.f;
        }
        stage_gradient(x, n, dy, row, rows, sG);
        stage_states(x.b, n.bRow, row, rows, sB);
        stage_states(x.c, n.cRow, row, rows, sC);
        __syncthreads();

        float h[STATES];
#pragma unroll
        for (int i = 0; i < STATES; i++) h[i] = p.has(i) ? saved[p.at(p.batch * tiles + from / TILE, n.channels, i)] : 0.f;
        for (int t = 0; t < rows; t++) {
            const int flag = x.flags ? x.flags[row + t] : 0;
#pragma unroll
            for (int i = 0; i < STATES; i++) {
                if (flag & RESET) h[i] = 0.f;
                sH[t][i][threadIdx.x] = h[i];
            }
            if (flag & SKIP) continue;
            const float step = sStep[t][p.column], u = sU[t][p.column];
            float sum = 0.f;
#pragma unroll
            for (int i = 0; i < STATES; i++) {
                h[i] = exp2_fast(step * a[i]) * h[i] + step * u * sB[t][p.lane * STATES + i];
                sum += h[i] * sC[t][p.lane * STATES + i];
            }
            if (!x.z) continue;
            sum = sum_channel(sum);
            if (p.lane == 0) sY[t][p.column] = sum + skip * u;
        }

        for (int t = rows - 1; t >= 0; t--) {
            const int flag = x.flags ? x.flags[row + t] : 0;
            if (!(flag & SKIP)) {
                const float step = sStep[t][p.column], u = sU[t][p.column], g = sG[t][p.column];
                float dstep = 0.f, ddrive = 0.f;
                ChannelSums bc;
#pragma unroll
                for (int i = 0; i < STATES; i++) {
                    const float b = sB[t][p.lane * STATES + i], before = sH[t][i][threadIdx.x], decay = exp2_fast(step * a[i]);
                    const float d = carry[i] + g * sC[t][p.lane * STATES + i], k = d * decay * before;
                    bc.v[i] = d * step * u;
                    bc.v[STATES + i] = g * (decay * before + step * u * b);
                    ddrive += d * b;
                    dstep += k * a[i];
                    da[i] += k * step;
                    carry[i] = d * decay;
                }
                ddrive = sum_channel(ddrive);
                const float dd = (LN2 * sum_channel(dstep) + u * ddrive) * sSlope[t][p.column];
                dskip += g * u;
                dbias += dd;
                bc.reduce();
                __syncwarp();                                   // all lanes have read what is now overwritten
                if (p.lane == 0) {
                    sStep[t][p.column] = dd;
                    sU[t][p.column] = step * ddrive + g * skip;
                }
                // number j of state s goes to word (j / STATES) PADDED + s of this warp's part of sH[t], which is no longer needed
#pragma unroll
                for (int i = 0; i < 2 * STATES; i++) {
                    const int j = bc.first + i, word = j / STATES * PADDED + p.lane * STATES + j % STATES;
                    if (i < bc.count && bc.owner) sH[t][word / 32][warp * 32 + word % 32] = bc.v[i];
                }
            }
            if (flag & RESET) {
#pragma unroll
                for (int i = 0; i < STATES; i++) carry[i] = 0.f;
            }
        }
        __syncthreads();

        for (int i = threadIdx.x; i < rows * CHANNELS; i += THREADS) {
            const int t = i / CHANNELS, c = i % CHANNELS, channel = blockIdx.x * CHANNELS + c;
            if (channel >= n.channels) continue;
            const bool on = !(x.flags && x.flags[row + t] & SKIP);
            const i64 at = (row + t) * n.channels + channel;
            du[at] = from_float<T>(on ? sU[t][c] : 0.f);
            ddelta[at] = from_float<T>(on ? sStep[t][c] : 0.f);
            if (dz) dz[at] = from_float<T>(on && dy ? to_float(dy[at]) * sY[t][c] * silu_slope(to_float(x.z[(row + t) * n.zRow + channel]))
                    : 0.f);
        }
        for (int i = threadIdx.x; i < rows * 2 * PADDED; i += THREADS) {
            const int t = i / (2 * PADDED), word = i % (2 * PADDED), s = word % PADDED;
            if (s >= STATE_SIZE) continue;
            float sum = 0.f;
            if (!(x.flags && x.flags[row + t] & SKIP)) {
#pragma unroll
                for (int w = 0; w < WARPS; w++) sum += sH[t][word / 32][w * 32 + word % 32];
            }
            (word < PADDED ? bParts : cParts)[((i64) blockIdx.x * gridDim.y * n.time + row + t) * STATE_SIZE + s] = sum;
        }
    }
    const i64 chunk = (i64) p.batch * gridDim.z + p.chunk;
    if (p.on && p.lane == 0 && skipParts) skipParts[chunk * n.channels + p.channel] = dskip;
    if (p.on && p.lane == 0 && biasParts) biasParts[chunk * n.channels + p.channel] = dbias;
#pragma unroll
    for (int i = 0; i < STATES; i++) {
        if (p.has(i)) aParts[p.at(chunk, n.channels, i)] = da[i];
        if (p.has(i) && dinitial && p.from == 0) dinitial[p.at(p.batch, n.channels, i)] = from_float<T>(carry[i]);
    }
}
