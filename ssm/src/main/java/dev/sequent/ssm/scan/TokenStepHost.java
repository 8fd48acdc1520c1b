package dev.sequent.ssm.scan;

import dev.sequent.fused.HostTensors;
import dev.sequent.fused.Simd;
import dev.sequent.spi.HostMemory;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * {@link TokenStepKernel} on tensors in host memory. A task is a row and a range of channels or heads, large enough to be worth a thread;
 * small layers stay on the calling one. Thread-safe: working memory is thread-local.
 */
final class TokenStepHost implements TokenStepKernel {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    /** Channels whose rows stand in working memory at a time. */
    private static final int BLOCK = 256;
    /** Channels of a task of the convolution. */
    private static final int CONVOLVED = 1024;
    /** Elements of the state of a task. */
    private static final int STATES = 1 << 13;

    private final HostTensors host;
    private final TokenLoops loops;
    private final ThreadLocal<Scratch> scratch = ThreadLocal.withInitial(Scratch::new);

    TokenStepHost(HostTensors host) {
        this.host = host;
        this.loops = Simd.choose(host.vectorised(), () -> new VectorTokenLoops(), () -> new ScalarTokenLoops());
    }

    @Override
    public String name() {
        return "token-step/" + host.flavour();
    }

    private static final class Scratch {
        private final float[][] rows = new float[7][];

        /** An array of at least {@code count} elements, of any content. */
        float[] row(int index, int count) {
            if (rows[index] == null || rows[index].length < count) {
                rows[index] = new float[count];
            }
            return rows[index];
        }
    }

    /** Rows (B, 1, features) where they lie, from their element {@code first} on. */
    private record Rows(MemorySegment memory, long stride, int first) {
        float[] read(int batch, int from, int count, float[] target) {
            MemorySegment.copy(memory, F32, (batch * stride + first + from) * Float.BYTES, target, 0, count);
            return target;
        }

        void write(int batch, int from, int count, float[] source) {
            MemorySegment.copy(source, 0, memory, F32, (batch * stride + first + from) * Float.BYTES, count);
        }

        float at(int batch, int index) {
            return memory.getAtIndex(F32, batch * stride + first + index);
        }
    }

    private Rows rows(Tensor x) {
        return rows(Columns.of(x));
    }

    private Rows rows(Columns c) {
        Tensor x = c.x();
        HostMemory.View view = host.view(x);
        return view.strides()[2] == 1 || x.dim(2) == 1 ? new Rows(view.segment(), view.strides()[0], c.from())
                : new Rows(host.read(x.contiguous()), x.dim(2), c.from());
    }

    /** A new tensor of the size of {@code columns}. */
    private Tensor like(Columns columns) {
        return host.allocate(columns.x(), DType.F32, Shape.of(columns.x().dim(0), 1, columns.count()));
    }

    /** A part of a vector, zeros for null. */
    private static float[] vector(MemorySegment source, int from, int count, float[] target) {
        if (source == null) {
            Arrays.fill(target, 0, count, 0f);
        } else {
            MemorySegment.copy(source, F32, 4L * from, target, 0, count);
        }
        return target;
    }

    @Override
    public Tensor convolve(Columns x, Tensor weight, Tensor bias, Tensor window) {
        int channels = x.count();
        int taps = (int) weight.dim(2);
        Tensor y = like(x);
        Rows in = rows(x);
        Rows out = rows(y);
        MemorySegment weights = host.read(weight);
        MemorySegment biases = host.readOrNull(bias);
        MemorySegment past = host.read(window);
        int tasks = Math.ceilDiv(channels, CONVOLVED);
        host.parallel().forEach((int) x.x().dim(0) * tasks, task -> {
            int batch = task / tasks;
            int first = task % tasks * CONVOLVED;
            for (int from = first; from < Math.min(channels, first + CONVOLVED); from += BLOCK) {
                int count = Math.min(BLOCK, channels - from);
                convolve(in, out, batch, channels, taps, from, count, weights, biases, past);
            }
        });
        return y;
    }

    private void convolve(Rows in, Rows out, int batch, int channels, int taps, int from, int count, MemorySegment weights,
            MemorySegment biases, MemorySegment past) {
        Scratch s = scratch.get();
        float[] sum = vector(biases, from, count, s.row(0, loops.padded(BLOCK)));
        float[] weight = s.row(1, BLOCK * taps);
        MemorySegment.copy(weights, F32, 4L * from * taps, weight, 0, count * taps);
        float[] x = s.row(2, BLOCK);
        for (int k = 0; k < taps; k++) {
            long row = ((long) batch * (taps - 1) + k) * channels + from;
            if (k < taps - 1) {
                MemorySegment.copy(past, F32, 4 * row, x, 0, count);
            } else {
                in.read(batch, from, count, x);
            }
            if (k > 0) {
                MemorySegment.copy(x, 0, past, F32, 4 * (row - channels), count);
            }
            addProducts(x, weight, k, taps, count, sum);
        }
        loops.silu(sum, count);
        out.write(batch, from, count, sum);
    }

    private static void addProducts(float[] x, float[] weight, int k, int taps, int count, float[] sum) {
        for (int j = 0; j < count; j++) {
            sum[j] += x[j] * weight[j * taps + k];
        }
    }

    @Override
    public Tensor select(Selection in) {
        Tensor y = host.allocate(in.u());
        Selected rows = new Selected(rows(in.u()), rows(in.delta()), rows(in.b()), rows(in.c()), rows(in.z()), rows(y),
                host.read(in.aLog()), host.readOrNull(in.skip()), host.readOrNull(in.deltaBias()), host.read(in.state()),
                (int) in.u().dim(2), (int) in.aLog().dim(1));
        int share = Math.ceilDiv(STATES / rows.states() + 1, BLOCK) * BLOCK;
        int tasks = Math.ceilDiv(rows.channels(), share);
        host.parallel().forEach((int) in.u().dim(0) * tasks, task -> {
            int first = task % tasks * share;
            for (int from = first; from < Math.min(rows.channels(), first + share); from += BLOCK) {
                select(rows, task / tasks, from, Math.min(BLOCK, rows.channels() - from));
            }
        });
        return y;
    }

    /** What {@link #select} reads and writes. */
    private record Selected(Rows u, Rows delta, Rows b, Rows c, Rows z, Rows y, MemorySegment aLog, MemorySegment skip, MemorySegment bias,
            MemorySegment state, int channels, int states) {}

    private void select(Selected in, int batch, int from, int count) {
        Scratch s = scratch.get();
        int padded = loops.padded(BLOCK);
        float[] step = vector(in.bias, from, count, s.row(0, padded));
        float[] u = in.delta.read(batch, from, count, s.row(1, padded));
        add(u, count, step);
        loops.softplus(step, count);
        in.u.read(batch, from, count, u);
        float[] drive = s.row(2, padded);
        multiply(step, u, count, drive);
        int states = in.states;
        float[] b = in.b.read(batch, 0, states, s.row(3, states));
        float[] c = in.c.read(batch, 0, states, s.row(4, states));
        float[] y = s.row(5, padded);
        long row = (long) batch * in.channels + from;
        loops.select(count, states, step, drive, in.aLog.asSlice(4L * from * states), b, c, in.state.asSlice(4 * row * states), y);
        addProducts(u, vector(in.skip, from, count, step), 0, 1, count, y);
        loops.gate(y, in.z.read(batch, from, count, drive), count);
        in.y.write(batch, from, count, y);
    }

    private static void add(float[] x, int count, float[] sum) {
        for (int j = 0; j < count; j++) {
            sum[j] += x[j];
        }
    }

    private static void multiply(float[] x, float[] y, int count, float[] product) {
        for (int j = 0; j < count; j++) {
            product[j] = x[j] * y[j];
        }
    }

    @Override
    public Tensor advance(Heads in) {
        Tensor y = like(in.x());
        int heads = (int) in.aLog().dim(0);
        int width = in.x().count() / heads;
        int states = in.b().count() / in.groups();
        Advanced rows = new Advanced(rows(in.x()), rows(in.dt()), rows(in.b()), rows(in.c()), rows(in.z()), rows(y), host.read(in.dtBias()),
                host.read(in.aLog()), host.read(in.skip()), host.read(in.state()), (float) in.low(), (float) in.high(), heads, width,
                states, heads / in.groups());
        int share = Math.max(1, STATES / (width * states));
        int tasks = Math.ceilDiv(heads, share);
        host.parallel().forEach((int) in.x().x().dim(0) * tasks, task -> {
            int first = task % tasks * share;
            for (int head = first; head < Math.min(heads, first + share); head++) {
                advance(rows, task / tasks, head);
            }
        });
        return y;
    }

    /** What {@link #advance} reads and writes. */
    private record Advanced(Rows x, Rows dt, Rows b, Rows c, Rows z, Rows y, MemorySegment bias, MemorySegment aLog, MemorySegment skip,
            MemorySegment state, float low, float high, int heads, int width, int states, int headsPerGroup) {}

    private void advance(Advanced in, int batch, int head) {
        Scratch s = scratch.get();
        int width = in.width;
        int padded = loops.padded(width);
        float dt = ScalarTokenLoops.softplus(in.dt.at(batch, head) + in.bias.getAtIndex(F32, head));
        float step = Math.min(Math.max(dt, in.low), in.high);
        float decay = (float) Math.exp(-step * Math.exp(in.aLog.getAtIndex(F32, head)));
        int group = head / in.headsPerGroup * in.states;
        float[] x = in.x.read(batch, head * width, width, s.row(0, padded));
        float[] b = in.b.read(batch, group, in.states, s.row(3, in.states));
        float[] c = in.c.read(batch, group, in.states, s.row(4, in.states));
        float[] y = s.row(5, padded);
        long state = ((long) batch * in.heads + head) * width * in.states;
        loops.advance(width, in.states, decay, step, x, b, c, in.state.asSlice(4 * state), y);
        float skip = in.skip.getAtIndex(F32, head);
        for (int p = 0; p < width; p++) {
            y[p] += skip * x[p];
        }
        loops.gate(y, in.z.read(batch, head * width, width, x), width);
        in.y.write(batch, head * width, width, y);
    }
}
