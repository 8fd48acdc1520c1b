package dev.sequent.transformer.position;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CapacityException;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.Optional;

/**
 * Rotary position embedding (Su et al. 2021) in the split-half form of Hugging Face's {@code rotate_half}: channel i and channel
 * i + R/2 of a head form a pair, which is turned by position times {@code inverse[i]}, which {@link RotaryFrequencies} says:
 *
 * <pre>
 * y[i]       = x[i] cos - x[i + R/2] sin          both times the attention factor
 * y[i + R/2] = x[i + R/2] cos + x[i] sin
 * </pre>
 *
 * <p>Channels beyond R stay as they are. Angles are computed in double precision. The table of cosines and sines grows when a position
 * asks for it. Thread-safe.
 */
public final class RotaryEmbedding {
    private static final int FIRST_POSITIONS = 256;

    private final RotaryFrequencies frequencies;
    private volatile RotaryTable table;

    /** Turns the first {@code 2 * inverse.length} channels of every head. */
    public RotaryEmbedding(RotaryFrequencies frequencies) {
        this.frequencies = frequencies;
        this.table = computed(FIRST_POSITIONS);
    }

    /** R: number of rotated channels. */
    public int channels() {
        return 2 * frequencies.pairs();
    }

    /**
     * Turns the heads of x; differentiable.
     *
     * @param x (B, T, H, P), P >= R
     * @param positions position of every token (B T), not negative
     * @return (B, T, H, P)
     */
    public Tensor apply(Tensor x, int[] positions) {
        if (x.rank() != 4 || x.dim(3) < channels() || x.dim(0) * x.dim(1) != positions.length) {
            throw new ShapeException("rotary embedding", "(B, T, H, P) with P >= " + channels() + " and B T positions",
                    x.shape() + " and " + positions.length + " positions");
        }
        int last = last(positions);
        requirePosition(last);
        Optional<RotaryKernel> kernel = KernelTable.of(x.device()).select(RotaryKernel.class, k -> k.refusal(x));
        return kernel.isPresent() ? CustomOp.apply(new Fused(kernel.get(), upTo(last), positions), x)[0] : decomposed(x, positions);
    }

    private void requirePosition(int last) {
        if (last >= frequencies.positions()) {
            throw new CapacityException("rotary embedding", "positions below " + frequencies.positions()
                    + ", for which the frequencies are (a longer sequence_length in rope_scaling chooses other ones)", "position " + last);
        }
    }

    /**
     * The angles of all positions up to {@code last}, for kernels that turn heads on the way to something else.
     *
     * @throws CapacityException where the frequencies are not for so many positions
     */
    public RotaryTable table(int last) {
        requirePosition(last);
        return upTo(last);
    }

    /** The definition in tensor operations, for every backend and dtype. */
    Tensor decomposed(Tensor x, int[] positions) {
        int half = channels() / 2;
        Tensor cos = angles(x, positions, false); // (B, T, 1, R/2)
        Tensor sin = angles(x, positions, true); // (B, T, 1, R/2)
        Tensor first = x.slice(3, 0, half); // (B, T, H, R/2)
        Tensor second = x.slice(3, half, 2L * half); // (B, T, H, R/2)
        Tensor a = first.mul(cos).sub(second.mul(sin));
        Tensor b = second.mul(cos).add(first.mul(sin));
        return x.dim(3) == channels() ? Tensor.concat(3, a, b) : Tensor.concat(3, a, b, x.slice(3, channels(), x.dim(3)));
    }

    private Tensor angles(Tensor x, int[] positions, boolean sine) {
        int pairs = frequencies.pairs();
        double[] values = new double[positions.length * pairs];
        for (int t = 0; t < positions.length; t++) {
            double[] inverse = frequencies.inverse(positions[t]);
            for (int i = 0; i < pairs; i++) {
                double angle = positions[t] * inverse[i];
                values[t * pairs + i] = frequencies.attentionFactor() * (sine ? Math.sin(angle) : Math.cos(angle));
            }
        }
        DType wide = x.dtype() == DType.F64 ? DType.F64 : DType.F32;
        return Tensor.of(x.device(), values, x.dim(0), x.dim(1), 1, pairs).cast(wide).cast(x.dtype());
    }

    private static int last(int[] positions) {
        int last = 0;
        for (int p : positions) {
            last = Math.max(last, p);
        }
        return last;
    }

    /** A table that reaches position {@code last}. */
    private RotaryTable upTo(int last) {
        RotaryTable current = table;
        if (last >= current.positions()) {
            current = computed(Math.max(last + 1, 2 * current.positions()));
            table = current;
        }
        return current;
    }

    private RotaryTable computed(int most) {
        int positions = Math.min(most, frequencies.positions());
        int pairs = frequencies.pairs();
        float[] cos = new float[Math.multiplyExact(positions, pairs)];
        float[] sin = new float[cos.length];
        for (int p = 0; p < positions; p++) {
            double[] inverse = frequencies.inverse(p);
            for (int i = 0; i < pairs; i++) {
                double angle = p * inverse[i];
                cos[p * pairs + i] = (float) (frequencies.attentionFactor() * Math.cos(angle));
                sin[p * pairs + i] = (float) (frequencies.attentionFactor() * Math.sin(angle));
            }
        }
        return new RotaryTable(positions, pairs, cos, sin);
    }

    /** The kernel and its derivative on the tape. */
    private record Fused(RotaryKernel kernel, RotaryTable table, int[] positions) implements CustomOp {
        @Override
        public String name() {
            return "rotary embedding";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            return new Tensor[] {kernel.rotate(in[0], table, positions, false)};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return new Tensor[] {kernel.rotate(gradients[0], table, positions, true)};
        }
    }
}
