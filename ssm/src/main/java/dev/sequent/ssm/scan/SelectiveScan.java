package dev.sequent.ssm.scan;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The selective scan of Mamba (Gu and Dao 2023, algorithm 2; {@code selective_scan_ref} of the reference implementation).
 *
 * <pre>{@code
 * step_t = softplus(delta_t + deltaBias)                          (B, E)
 * h_t    = exp(step_t A) h_{t-1} + step_t B_t u_t                  (B, E, N)
 * y_t    = (<C_t, h_t> + D u_t) SiLU(z_t)                         (B, E)
 * }</pre>
 *
 * <p>Differentiable with respect to every operand, the initial state included, and through the final state. A kernel of the device is used
 * where there is one, else tensor operations, token by token. Cost O(T E N); the kernel of the CPU keeps no activations of size E N for the
 * backward pass but one state for some tens of tokens.
 *
 * <p>Tokens may carry flags: {@link ScanInputs#RESET} starts a document, before which the state is zero; {@link ScanInputs#SKIP} is
 * padding, which the state passes unchanged, and whose output is zero.
 */
public final class SelectiveScan {
    private SelectiveScan() {}

    /**
     * What is scanned; all of one float dtype.
     *
     * @param u input, (B, T, E)
     * @param delta step size before bias and activation, (B, T, E)
     * @param a state matrix, (E, N), negative
     * @param b input matrix, (B, T, N)
     * @param c output matrix, (B, T, N)
     * @param skip D, (E), or null
     * @param deltaBias bias of the step size, (E), or null
     * @param softplus whether the step size is the softplus of delta + bias
     * @param z gate, (B, T, E), or null
     * @param initialState (B, E, N), or null for zeros
     */
    public record Operands(Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c, Tensor skip, Tensor deltaBias, boolean softplus, Tensor z,
            Tensor initialState) {
        /** Checks shapes and dtypes. */
        public Operands {
            u.expect("selectiveScan u", -1, -1, -1);
            long batch = u.dim(0);
            long time = u.dim(1);
            long channels = u.dim(2);
            delta.expect("selectiveScan delta", batch, time, channels);
            a.expect("selectiveScan a", channels, -1);
            b.expect("selectiveScan b", batch, time, a.dim(1));
            c.expect("selectiveScan c", batch, time, a.dim(1));
            expect("skip", skip, channels);
            expect("delta bias", deltaBias, channels);
            expect("z", z, batch, time, channels);
            expect("initial state", initialState, batch, channels, a.dim(1));
            for (Tensor t : new Tensor[] {delta, a, b, c, skip, deltaBias, z, initialState}) {
                if (t != null && t.dtype() != u.dtype()) {
                    throw new DTypeException("selectiveScan", "operands of dtype " + u.dtype(), t.toString());
                }
            }
        }

        private static void expect(String name, Tensor t, long... sizes) {
            if (t != null) {
                t.expect("selectiveScan " + name, sizes);
            }
        }

        /** The operands in order; null where absent. */
        Tensor[] tensors() {
            return new Tensor[] {u, delta, a, b, c, skip, deltaBias, z, initialState};
        }

        static Operands of(Tensor[] t, boolean softplus) {
            return new Operands(t[0], t[1], t[2], t[3], t[4], t[5], t[6], softplus, t[7], t[8]);
        }

        /** Sizes of the scan. */
        ScanShape shape() {
            return new ScanShape(Math.toIntExact(u.dim(0)), Math.toIntExact(u.dim(1)), Math.toIntExact(u.dim(2)),
                    Math.toIntExact(a.dim(1)));
        }
    }

    /**
     * An output and the state after it.
     *
     * @param y (B, T, E)
     * @param finalState (B, E, N)
     */
    public record Result(Tensor y, Tensor finalState) {}

    /**
     * Runs the scan.
     *
     * @param flags {@link ScanInputs#RESET} and {@link ScanInputs#SKIP} of the tokens (B T), or null
     */
    public static Result apply(Operands x, byte[] flags) {
        if (flags != null && flags.length != x.u().dim(0) * x.u().dim(1)) {
            throw new ShapeException("selectiveScan flags", x.u().dim(0) * x.u().dim(1) + " flags", flags.length + "");
        }
        Optional<SelectiveScanKernel> kernel = KernelTable.of(x.u().device()).select(SelectiveScanKernel.class, k -> k.refusal(x));
        if (kernel.isPresent()) {
            Tensor[] out = CustomOp.apply(new Fused(kernel.get(), x.softplus(), flags), x.tensors());
            return new Result(out[0], out[1]);
        }
        return decompose(x, flags);
    }

    /** The decomposition: the equations, token by token. Runs on every backend and is what kernels are compared with. */
    static Result decompose(Operands x, byte[] flags) {
        Tensor sum = x.deltaBias() == null ? x.delta() : x.delta().add(x.deltaBias());
        Tensor step = x.softplus() ? sum.softplus() : sum; // (B, T, E)
        Tensor drive = step.mul(x.u()); // (B, T, E)
        Tensor h = x.initialState() != null ? x.initialState()
                : Tensor.zeros(x.u().device(), x.u().dtype(), x.u().dim(0), x.u().dim(2), x.a().dim(1)); // (B, E, N)
        Tensor valid = flags == null ? null : mask(x, flags, ScanInputs.SKIP);
        Tensor keep = flags == null ? null : mask(x, flags, ScanInputs.RESET);
        List<Tensor> ys = new ArrayList<>();
        for (int t = 0; t < x.u().dim(1); t++) {
            Tensor before = keep == null ? h : h.mul(keep.select(1, t));
            Tensor decay = step.select(1, t).unsqueeze(-1).mul(x.a()).exp(); // (B, E, N)
            Tensor after = decay.mul(before).add(drive.select(1, t).unsqueeze(-1).mul(x.b().slice(1, t, t + 1)));
            ys.add(after.mul(x.c().slice(1, t, t + 1)).sum(-1)); // (B, E)
            h = valid == null ? after : after.mul(valid.select(1, t)).add(before.mul(valid.select(1, t).neg().add(1)));
        }
        Tensor y = Tensor.stack(1, ys.toArray(Tensor[]::new)); // (B, T, E)
        y = x.skip() == null ? y : y.add(x.u().mul(x.skip()));
        y = x.z() == null ? y : y.mul(x.z().silu());
        return new Result(valid == null ? y : y.mul(valid.squeeze(-1)), h);
    }

    /** 0 where a flag is set and 1 elsewhere, (B, T, 1, 1). */
    private static Tensor mask(Operands x, byte[] flags, byte flag) {
        float[] m = new float[flags.length];
        for (int i = 0; i < m.length; i++) {
            m[i] = (flags[i] & flag) != 0 ? 0 : 1;
        }
        return Tensor.of(x.u().device(), m, x.u().dim(0), x.u().dim(1), 1, 1).cast(x.u().dtype());
    }

    /** The kernel and its derivative on the tape. */
    private record Fused(SelectiveScanKernel kernel, boolean softplus, byte[] flags) implements CustomOp {
        @Override
        public String name() {
            return "selectiveScan";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            Tensor[] out = kernel.forward(Operands.of(in, softplus), flags, save.recording());
            if (save.recording()) {
                Tensor[] kept = Arrays.copyOf(in, in.length + 1);
                kept[in.length] = out[2];
                save.save(kept);
            }
            return new Tensor[] {out[0], out[1]};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return kernel.backward(Operands.of(saved, softplus), flags, saved[saved.length - 1], gradients[0], gradients[1]);
        }
    }
}
