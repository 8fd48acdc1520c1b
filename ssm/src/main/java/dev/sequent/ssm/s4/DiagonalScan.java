package dev.sequent.ssm.s4;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.Arrays;
import java.util.Optional;

/**
 * The linear state-space model of S4D: a diagonal complex recurrence in every channel, whose coefficients do not depend on the token.
 *
 * <pre>{@code
 * A   = -exp(logDecay) + i frequency             (E, P), one of each conjugate pair
 * dt  = exp(logStep)                             (E)
 * a,b = discretisation of A with step size dt    (E, P)
 * h_t = a h_{t-1} + b u_t                        (B, E, P)
 * y_t = 2 Re(sum_p c_p h_t) + D u_t              (B, E)
 * }</pre>
 *
 * <p>Differentiable with respect to every operand, the initial state included, and through the final state. A kernel of the device runs the
 * recurrence; without one, tensor operations compute the same function in chunks of tokens ({@link DiagonalChunks}).
 *
 * <p>Tokens may carry flags: {@link SequenceInfo#RESET} starts a document, before which the state is zero; {@link SequenceInfo#SKIP} is
 * padding, which the state passes unchanged, and whose output is zero.
 *
 * @see <a href="https://arxiv.org/abs/2206.11893">Gu, Gupta, Goel and Re, On the Parameterization and Initialization of Diagonal State
 *     Space Models</a>
 */
public final class DiagonalScan {
    private DiagonalScan() {}

    /** How the continuous system becomes a recurrence. */
    public enum Discretisation {
        /** a = e^{dt A}, b = (a - 1) / A. */
        ZERO_ORDER_HOLD,
        /** a = (1 + dt A / 2) / (1 - dt A / 2), b = dt / (1 - dt A / 2). */
        BILINEAR
    }

    /**
     * What is scanned; all of one float dtype.
     *
     * @param u input, (B, T, E)
     * @param logStep logarithm of the step size, (E)
     * @param logDecay logarithm of the negated real part of A, (E, P)
     * @param frequency imaginary part of A, (E, P)
     * @param c output vector, real and imaginary parts, (E, P, 2)
     * @param skip D, (E)
     * @param stateRe real part of the initial state, (B, E, P), or null for zeros
     * @param stateIm its imaginary part; null exactly when {@code stateRe} is
     * @param discretisation how a and b follow from A and dt
     */
    public record Operands(Tensor u, Tensor logStep, Tensor logDecay, Tensor frequency, Tensor c, Tensor skip, Tensor stateRe,
            Tensor stateIm, Discretisation discretisation) {
        /** Checks shapes and dtypes. */
        public Operands {
            u.expect("diagonalScan u", -1, -1, -1);
            long batch = u.dim(0);
            long channels = u.dim(2);
            logDecay.expect("diagonalScan logDecay", channels, -1);
            long pairs = logDecay.dim(1);
            logStep.expect("diagonalScan logStep", channels);
            frequency.expect("diagonalScan frequency", channels, pairs);
            c.expect("diagonalScan c", channels, pairs, 2);
            skip.expect("diagonalScan skip", channels);
            if (stateRe == null != (stateIm == null)) {
                throw new ShapeException("diagonalScan", "both parts of the initial state, or none", "one");
            }
            if (stateRe != null) {
                stateRe.expect("diagonalScan stateRe", batch, channels, pairs);
                stateIm.expect("diagonalScan stateIm", batch, channels, pairs);
            }
            for (Tensor t : new Tensor[] {logStep, logDecay, frequency, c, skip, stateRe, stateIm}) {
                if (t != null && t.dtype() != u.dtype()) {
                    throw new DTypeException("diagonalScan", "operands of dtype " + u.dtype(), t.toString());
                }
            }
        }

        /** The operands in order; null where absent. */
        Tensor[] tensors() {
            return new Tensor[] {u, logStep, logDecay, frequency, c, skip, stateRe, stateIm};
        }

        static Operands of(Tensor[] t, Discretisation discretisation) {
            return new Operands(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], discretisation);
        }

        /** Sizes of the scan. */
        DiagonalShape shape() {
            return new DiagonalShape(Math.toIntExact(u.dim(0)), Math.toIntExact(u.dim(1)), Math.toIntExact(u.dim(2)),
                    Math.toIntExact(logDecay.dim(1)));
        }
    }

    /**
     * An output and the state after it.
     *
     * @param y (B, T, E)
     * @param stateRe (B, E, P)
     * @param stateIm (B, E, P)
     */
    public record Result(Tensor y, Tensor stateRe, Tensor stateIm) {}

    /**
     * Runs the scan.
     *
     * @param info padding and documents
     */
    public static Result apply(Operands x, SequenceInfo info) {
        if (info.batch() != x.u().dim(0) || info.time() != x.u().dim(1)) {
            throw new ShapeException("diagonalScan", "an input of " + info.batch() + " rows of " + info.time() + " tokens",
                    x.u().shape().toString());
        }
        Optional<DiagonalScanKernel> kernel = KernelTable.of(x.u().device()).select(DiagonalScanKernel.class, k -> k.refusal(x));
        if (kernel.isPresent()) {
            Tensor[] out = CustomOp.apply(new Fused(kernel.get(), x.discretisation(), info.flags()), x.tensors());
            return new Result(out[0], out[1], out[2]);
        }
        return DiagonalChunks.apply(x, info);
    }

    /**
     * Runs one token of a sequence and overwrites the state in {@code x} by the one after it. Not to be recorded; the state must be dense,
     * and nothing else may refer to its memory.
     *
     * @param x with one token and a state
     * @return the output (B, 1, E), or null, with the state as it was, where the device has no kernel for it
     */
    static Tensor overwrite(Operands x) {
        return KernelTable.of(x.u().device()).find(DiagonalScanKernel.class, k -> k.refusal(x)).map(k -> k.step(x)).orElse(null);
    }

    /** The kernel and its derivative on the tape. */
    private record Fused(DiagonalScanKernel kernel, Discretisation discretisation, byte[] flags) implements CustomOp {
        @Override
        public String name() {
            return "diagonalScan";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            Tensor[] out = kernel.forward(Operands.of(in, discretisation), flags, save.recording());
            if (save.recording()) {
                Tensor[] kept = Arrays.copyOf(in, in.length + 1);
                kept[in.length] = out[3];
                save.save(kept);
            }
            return new Tensor[] {out[0], out[1], out[2]};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return kernel.backward(Operands.of(saved, discretisation), flags, saved[saved.length - 1], gradients[0], gradients[1],
                    gradients[2]);
        }
    }
}
