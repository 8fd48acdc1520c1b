package dev.sequent.ssm.scan;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.Arrays;
import java.util.Optional;

/**
 * The state-space dual of Mamba-2 (Dao and Gu 2024): a recurrence whose decay is one number for each head and token, which makes it a
 * masked matrix product as well.
 *
 * <pre>{@code
 * h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T                      (B, H, P, N)
 * y_t = h_t C_t + D x_t                                          (B, H, P)
 * }</pre>
 *
 * <p>Head h reads B and C of group h G / H, rounded down: groups are H / G neighbouring heads. Differentiable with respect to every
 * operand, the initial state included, and through the final state. A kernel of the device is used where there is one, else tensor
 * operations in the chunked form of the paper (listing 1): products of matrices inside chunks of Q tokens, and a recurrence from chunk to
 * chunk. Cost O(T H P (N + Q)).
 *
 * <p>Tokens may carry flags: {@link ScanInputs#RESET} starts a document, before which the state is zero; {@link ScanInputs#SKIP} is
 * padding, which the state passes unchanged, and whose output is zero.
 *
 * @see <a href="https://arxiv.org/abs/2405.21060">Dao and Gu, Transformers are SSMs: Generalized Models and Efficient Algorithms Through
 *     Structured State Space Duality</a>
 */
public final class StateSpaceDual {
    private StateSpaceDual() {}

    /**
     * What is scanned; all of one float dtype.
     *
     * @param x input, (B, T, H, P)
     * @param dt step sizes, (B, T, H), not negative in a stable system
     * @param a rates A, (H), negative in a stable system
     * @param b input matrix, (B, T, G, N), G a divisor of H
     * @param c output matrix, (B, T, G, N)
     * @param skip D, (H), or null
     * @param initialState (B, H, P, N), or null for zeros
     */
    public record Operands(Tensor x, Tensor dt, Tensor a, Tensor b, Tensor c, Tensor skip, Tensor initialState) {
        /** Checks shapes and dtypes. */
        public Operands {
            x.expect("stateSpaceDual x", -1, -1, -1, -1);
            long batch = x.dim(0);
            long time = x.dim(1);
            long heads = x.dim(2);
            dt.expect("stateSpaceDual dt", batch, time, heads);
            a.expect("stateSpaceDual a", heads);
            b.expect("stateSpaceDual b", batch, time, -1, -1);
            if (b.dim(2) == 0 || heads % b.dim(2) != 0) {
                throw new ShapeException("stateSpaceDual b", "a number of groups that divides " + heads + " heads", b.shape().toString());
            }
            c.expect("stateSpaceDual c", b.shape().toArray());
            if (skip != null) {
                skip.expect("stateSpaceDual skip", heads);
            }
            if (initialState != null) {
                initialState.expect("stateSpaceDual initial state", batch, heads, x.dim(3), b.dim(3));
            }
            for (Tensor t : new Tensor[] {dt, a, b, c, skip, initialState}) {
                if (t != null && t.dtype() != x.dtype()) {
                    throw new DTypeException("stateSpaceDual", "operands of dtype " + x.dtype(), t.toString());
                }
            }
        }

        /** The operands in order; null where absent. */
        Tensor[] tensors() {
            return new Tensor[] {x, dt, a, b, c, skip, initialState};
        }

        static Operands of(Tensor[] t) {
            return new Operands(t[0], t[1], t[2], t[3], t[4], t[5], t[6]);
        }

        /** Sizes of the recurrence. */
        DualShape shape() {
            return new DualShape(Math.toIntExact(x.dim(0)), Math.toIntExact(x.dim(1)), Math.toIntExact(x.dim(2)), Math.toIntExact(x.dim(3)),
                    Math.toIntExact(b.dim(2)), Math.toIntExact(b.dim(3)));
        }
    }

    /**
     * An output and the state after it.
     *
     * @param y (B, T, H, P)
     * @param finalState (B, H, P, N)
     */
    public record Result(Tensor y, Tensor finalState) {}

    /**
     * Runs the recurrence.
     *
     * @param chunk Q, tokens of a chunk of the decomposition, at least 1; the result depends on it by rounding only, and kernels choose
     *     their own
     * @param flags {@link ScanInputs#RESET} and {@link ScanInputs#SKIP} of the tokens (B T), or null
     */
    public static Result apply(Operands x, int chunk, byte[] flags) {
        long tokens = x.x().dim(0) * x.x().dim(1);
        if (flags != null && flags.length != tokens) {
            throw new ShapeException("stateSpaceDual flags", tokens + " flags", flags.length + "");
        }
        if (chunk < 1) {
            throw new ConfigException("stateSpaceDual", "a chunk of at least one token", chunk + "");
        }
        Optional<StateSpaceDualKernel> kernel = KernelTable.of(x.x().device()).select(StateSpaceDualKernel.class, k -> k.refusal(x));
        if (kernel.isPresent()) {
            Tensor[] out = CustomOp.apply(new Fused(kernel.get(), flags), x.tensors());
            return new Result(out[0], out[1]);
        }
        return new ChunkedDual(x, chunk, flags).run();
    }

    /** The kernel and its derivative on the tape. */
    private record Fused(StateSpaceDualKernel kernel, byte[] flags) implements CustomOp {
        @Override
        public String name() {
            return "stateSpaceDual";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            Tensor[] out = kernel.forward(Operands.of(in), flags, save.recording());
            if (save.recording()) {
                Tensor[] kept = Arrays.copyOf(in, in.length + 1);
                kept[in.length] = out[2];
                save.save(kept);
            }
            return new Tensor[] {out[0], out[1]};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return kernel.backward(Operands.of(saved), flags, saved[saved.length - 1], gradients[0], gradients[1]);
        }
    }
}
