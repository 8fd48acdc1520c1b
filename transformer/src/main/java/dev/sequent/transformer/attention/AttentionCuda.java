package dev.sequent.transformer.attention;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;
import java.util.Optional;

/**
 * {@link AttentionKernel} in device code: {@code attention.cu} for F32, {@code attention_mma.cu} for BF16 by matrix instructions; both tell
 * how. Takes slices of wider tensors without copying them. Thread-safe.
 */
final class AttentionCuda implements AttentionKernel {
    private static final int MOST_WIDTH = 256;
    private static final int MOST_MMA_WIDTH = 128;
    private static final int MMA_STEP = 16;

    private final DeviceTensors device;

    AttentionCuda(DeviceTensors device) {
        this.device = device;
    }

    /**
     * How the work of one form of the kernels is divided.
     *
     * @param file the source
     * @param threads threads of a block
     * @param tile queries of a block, forward and for dq
     * @param keyTile keys of a block for dk and dv
     */
    private record Form(String file, int threads, int tile, int keyTile) {
        static Form of(DType dtype, int width) {
            if (dtype == DType.BF16) {
                return new Form("attention_mma", 128, 64, 64);
            }
            int tile = width <= 64 ? 32 : width <= 128 ? 16 : 8; // tiles of four operands fit into 48 KB of shared memory
            return new Form("attention", 4 * tile, tile, tile);
        }
    }

    /** The program for a dtype and a number of channels per head. */
    static Source source(DType dtype, int width) {
        String t = "<" + DeviceTensors.type(dtype) + ">";
        Form form = Form.of(dtype, width);
        return DeviceTensors.source(AttentionCuda.class, form.file, "attention_forward" + t, "attention_delta" + t, "attention_dq" + t,
            "attention_dkv" + t)
            .header("attention.cuh", DeviceTensors.text(AttentionCuda.class, "attention.cuh")).define("WIDTH", width)
                .define("TILE", form.tile);
    }

    @Override
    public String name() {
        return "attention/cuda";
    }

    @Override
    public Optional<String> refusal(Tensor q, Tensor k, Tensor v) {
        for (Tensor x : new Tensor[] {q, k, v}) {
            if (x.dtype() != q.dtype() || x.dtype() != DType.F32 && x.dtype() != DType.BF16) {
                return Optional.of("takes F32 or BF16, given " + x.dtype());
            }
        }
        long width = q.dim(3);
        if (q.dtype() == DType.BF16 && (width % MMA_STEP != 0 || width > MOST_MMA_WIDTH)) {
            return Optional.of("takes multiples of " + MMA_STEP + " channels per head up to " + MOST_MMA_WIDTH + " in BF16, given "
                + width);
        }
        if (width > MOST_WIDTH || q.dim(0) > 65535 || q.dim(2) > 65535) {
            return Optional.of("takes at most " + MOST_WIDTH + " channels per head, 65535 heads and 65535 sequences, given " + q.shape());
        }
        return Optional.empty();
    }

    /** One problem, ready for launches. */
    private final class Run {
        final AttentionSizes n;
        final Form form;
        final Object[] operands;

        Run(Tensor q, Tensor k, Tensor v, AttentionMask mask, double scale) {
            n = AttentionSizes.of(q, k, v);
            form = Form.of(q.dtype(), n.width());
            Tensor[] rows = {heads(q), heads(k), heads(v)};
            Tensor[] documents = {ints(q, mask.offsets()), ints(q, mask.queryDocuments()), ints(q, mask.keyDocuments())};
            operands = new Object[] {rows[0], rows[1], rows[2], sizes(rows, mask), documents, (float) scale};
        }

        private long[] sizes(Tensor[] rows, AttentionMask mask) {
            long[] sizes = new long[15];
            System.arraycopy(new long[] {n.queries(), n.keys(), n.heads(), n.groups(), mask.causal() ? 1 : 0, mask.window()}, 0, sizes, 0,
                6);
            for (int i = 0; i < 3; i++) {
                System.arraycopy(device.strides(rows[i]), 0, sizes, 6 + 3 * i, 3);
            }
            return sizes;
        }

        DeviceCode.Function function(Tensor like, String name) {
            return device.function(like, List.of(like.dtype(), n.width()), () -> source(like.dtype(), n.width()), name);
        }

        void launch(Tensor like, String name, int tiles, int heads, Object... arguments) {
            Object[] all = new Object[operands.length + arguments.length];
            System.arraycopy(operands, 0, all, 0, operands.length);
            System.arraycopy(arguments, 0, all, operands.length, arguments.length);
            device.launch(function(like, name), Grid.of(tiles, form.threads).blocks(tiles, heads, n.batch()), all);
        }
    }

    private static Tensor ints(Tensor like, int[] values) {
        return values == null ? null : Tensor.of(like.device(), values, values.length);
    }

    private Tensor heads(Tensor x) {
        return device.strides(x)[3] == 1 || x.dim(3) == 1 ? x : x.contiguous();
    }

    @Override
    public Result forward(Tensor q, Tensor k, Tensor v, AttentionMask mask, double scale, boolean differentiable) {
        Run run = new Run(q, k, v, mask, scale);
        Tensor out = device.allocate(q);
        Tensor lse = differentiable ? device.allocate(q, DType.F32, Shape.of(q.dim(0), q.dim(2), q.dim(1))) : null;
        run.launch(q, "attention_forward", Math.ceilDiv(run.n.queries(), run.form.tile), run.n.heads(), out, lse);
        return new Result(out, lse);
    }

    @Override
    public Tensor[] backward(Tensor q, Tensor k, Tensor v, Result result, Tensor dout, AttentionMask mask, double scale) {
        Run run = new Run(q, k, v, mask, scale);
        Tensor gradient = device.dense(dout);
        Tensor delta = device.allocate(q, DType.F32, result.lse().shape());
        device.launch(run.function(q, "attention_delta"), DeviceTensors.covering(32 * delta.size()), gradient, result.out(), delta,
            delta.size(), run.n.queries(),
            run.n.heads());
        Tensor dq = device.allocate(q);
        Tensor dk = device.allocate(k);
        Tensor dv = device.allocate(v);
        run.launch(q, "attention_dq", Math.ceilDiv(run.n.queries(), run.form.tile), run.n.heads(), gradient, result.lse(), delta, dq);
        run.launch(q, "attention_dkv", Math.ceilDiv(run.n.keys(), run.form.keyTile), run.n.groups(), gradient, result.lse(), delta, dk, dv);
        return new Tensor[] {dq, dk, dv};
    }
}
