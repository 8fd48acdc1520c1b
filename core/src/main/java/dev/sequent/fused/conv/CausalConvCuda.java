package dev.sequent.fused.conv;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** {@link CausalConvKernel} in device code: {@code causal_conv.cu}, which tells how. Thread-safe. */
final class CausalConvCuda implements CausalConvKernel {
    private static final int THREADS = 128;
    private static final int MOST_TAPS = 16;
    /** Tokens that a thread walks over: many enough that those before and behind, which it reads too, weigh little. */
    private static final int CHUNK = 64;
    /** Marks in the source's tables: an input that is zero, and row 0 of the initial state. */
    private static final int NOBODY = -1;
    private static final int FIRST_ROW = -2;

    private final DeviceTensors device;

    CausalConvCuda(DeviceTensors device) {
        this.device = device;
    }

    /** The program for a dtype and a kernel width. */
    static Source source(DType dtype, int taps) {
        String t = "<" + DeviceTensors.type(dtype) + ">";
        return DeviceTensors.source(CausalConvCuda.class, "causal_conv", "conv_forward" + t, "conv_backward" + t, "sum_parts" + t)
            .define("TAPS", taps);
    }

    @Override
    public String name() {
        return "causal-conv/cuda";
    }

    @Override
    public Optional<String> refusal(Problem p) {
        if (p.x().size() == 0) {
            return Optional.of("takes at least one element, given " + p.x().shape());
        }
        if (p.taps() > MOST_TAPS || p.x().dim(0) > 65535 || chunks(p) > 65535) {
            return Optional.of("takes at most " + MOST_TAPS + " taps, 65535 sequences and " + 65535 * CHUNK + " tokens, given " + p.taps()
                + " taps and " + p.x().shape());
        }
        return DeviceTensors.refusal(p.x());
    }

    private static int chunks(Problem p) {
        return Math.toIntExact(Math.ceilDiv(p.x().dim(1), CHUNK));
    }

    private DeviceCode.Function function(Problem p, String name) {
        return device.function(p.x(), List.of(p.x().dtype(), p.taps()), () -> source(p.x().dtype(), p.taps()), name);
    }

    private void launch(Problem p, String name, Object... arguments) {
        Tensor x = device.tokens(p.x());
        Tensor flags = null;
        Tensor starts = null;
        if (p.flags() != null) {
            flags = DeviceTensors.flags(p.flags(), p.x());
            int[] sources = starts(p.flags(), (int) p.x().dim(1), p.taps() - 1);
            starts = Tensor.of(p.x().device(), sources, sources.length);
        }
        Object[] all = new Object[arguments.length + 2];
        all[0] = new Tensor[] {x, device.dense(p.weight()), device.dense(p.bias()), device.dense(p.initialState()), flags, starts};
        all[1] = new long[] {x.dim(1), x.dim(2), p.silu() ? 1 : 0, CHUNK, device.strides(x)[1]};
        System.arraycopy(arguments, 0, all, 2, arguments.length);
        int blocks = Math.toIntExact(Math.ceilDiv(x.dim(2), THREADS));
        device.launch(function(p, name), Grid.of(blocks, THREADS).blocks(blocks, (int) x.dim(0), chunks(p)), all);
    }

    /** Where the inputs in the window before each chunk come from: tokens, or rows of the initial state, or nowhere. (B, chunks, width) */
    private static int[] starts(byte[] flags, int time, int width) {
        int chunks = Math.ceilDiv(time, CHUNK);
        int[] starts = new int[flags.length / time * chunks * width];
        int[] window = new int[width];
        for (int i = 0; i < flags.length; i++) {
            int t = i % time;
            if (t == 0) {
                Arrays.setAll(window, k -> FIRST_ROW - k);
            }
            if (t % CHUNK == 0) {
                System.arraycopy(window, 0, starts, (i / time * chunks + t / CHUNK) * width, width);
            }
            if ((flags[i] & CausalConv.RESET) != 0) {
                Arrays.fill(window, NOBODY);
            }
            if ((flags[i] & CausalConv.SKIP) == 0) {
                System.arraycopy(window, 1, window, 0, width - 1);
                window[width - 1] = t;
            }
        }
        return starts;
    }

    @Override
    public Tensor[] forward(Problem p) {
        Tensor y = device.allocate(p.x());
        Tensor last = device.allocate(p.x(), p.x().dtype(), p.x().shape().with(1, p.taps() - 1));
        launch(p, "conv_forward", y, last);
        return new Tensor[] {y, last};
    }

    @Override
    public Tensor[] backward(Problem p, Tensor dy, Tensor dFinalState) {
        Tensor dx = device.allocate(p.x());
        Tensor dWeight = device.allocate(p.weight());
        Tensor dBias = device.allocate(p.bias());
        Tensor dInitial = device.allocate(p.initialState());
        long parts = p.x().dim(0) * chunks(p);
        Tensor weightParts = device.allocate(p.x(), DType.F32, Shape.of(parts, p.weight().size()));
        Tensor biasParts = dBias == null ? null : device.allocate(p.x(), DType.F32, Shape.of(parts, p.x().dim(2)));
        launch(p, "conv_backward", device.dense(dy), device.dense(dFinalState), dx, dInitial, weightParts, biasParts);
        device.sumParts(function(p, "sum_parts"), weightParts, parts, dWeight);
        device.sumParts(function(p, "sum_parts"), biasParts, parts, dBias);
        return new Tensor[] {dx, dWeight, dBias, dInitial};
    }
}
