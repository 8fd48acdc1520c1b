package dev.sequent.ssm.scan;

import dev.sequent.op.ReduceOp;
import dev.sequent.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The decomposition of {@link StateSpaceDual} into tensor operations: the chunked form of Dao and Gu 2024, listing 1. Runs on every backend
 * and is what kernels are compared with.
 *
 * <p>With R = H / G heads in a group, S = T / Q chunks (the last one padded with steps of size 0), L_ij = exp(a_{j+1} + ... + a_i) for
 * i >= j and a = dt A, the output of a chunk is (C B^T o L) (dt x) plus what the state before the chunk adds, C h decayed. Sums of a are
 * sums of exactly their terms, never differences of longer sums, which would lose the digits of small ones.
 */
final class ChunkedDual {
    private final DualShape shape;
    private final byte[] flags;
    private final StateSpaceDual.Operands in;
    private final int chunk;
    private final int chunks;

    ChunkedDual(StateSpaceDual.Operands in, int chunk, byte[] flags) {
        this.in = in;
        this.shape = in.shape();
        this.flags = flags;
        this.chunk = Math.min(chunk, shape.tokens());
        this.chunks = Math.ceilDiv(shape.tokens(), this.chunk);
    }

    StateSpaceDual.Result run() {
        Tensor valid = flags == null ? null : floats(mask(ScanInputs.SKIP), shape.batch(), shape.tokens(), 1);
        Tensor dt = valid == null ? in.dt() : in.dt().mul(valid); // (B, T, H)
        int r = shape.headsPerGroup();
        Tensor b = chunked(in.b(), shape.groups(), shape.states()).permute(0, 1, 3, 2, 4); // (B, S, G, Q, N)
        Tensor c = chunked(in.c(), shape.groups(), shape.states()).permute(0, 1, 3, 2, 4); // (B, S, G, Q, N)
        // (B, S, G, R, Q, P)
        Tensor drive = chunked(in.x().mul(dt.unsqueeze(-1)), shape.groups(), r, shape.width()).permute(0, 1, 3, 4, 2, 5);
        Tensor rate = chunked(dt.mul(in.a()), shape.groups(), r).permute(0, 1, 3, 4, 2); // (B, S, G, R, Q)
        Tensor decay = decays(rate); // (B, S, G, R, Q, Q)
        Tensor within = c.matmul(b, false, true).unsqueeze(3).mul(decay).matmul(drive); // (B, S, G, R, Q, P)
        Tensor sinceStart = rate.cumsum(-1).exp(); // (B, S, G, R, Q)
        if (flags != null) {
            sinceStart = sinceStart.mul(floats(unbroken(), shape.batch(), chunks, 1, 1, chunk));
        }
        Tensor toEnd = decay.select(-2, chunk - 1); // (B, S, G, R, Q)
        Tensor added = groupRows(drive.mul(toEnd.unsqueeze(-1))).matmul(b, true, false); // (B, S, G, R P, N)
        Tensor[] states = states(added, sinceStart.select(-1, chunk - 1));
        Tensor before = c.matmul(states[0], false, true); // (B, S, G, Q, R P)
        Tensor carried = before.reshape(shape.batch(), chunks, shape.groups(), chunk, r, shape.width()).permute(0, 1, 2, 4, 3, 5)
                .mul(sinceStart.unsqueeze(-1)); // (B, S, G, R, Q, P)
        Tensor y = within.add(carried).permute(0, 1, 4, 2, 3, 5).reshape(shape.batch(), (long) chunks * chunk, shape.heads(), shape.width())
                .slice(1, 0, shape.tokens());
        y = in.skip() == null ? y : y.add(in.x().mul(in.skip().unsqueeze(-1)));
        return new StateSpaceDual.Result(valid == null ? y : y.mul(valid.unsqueeze(-1)), states[1]);
    }

    /** (B, T, ...) as (B, S, Q, sizes), padded with zeros. */
    private Tensor chunked(Tensor x, long... sizes) {
        Tensor whole = x.pad(1, 0, (long) chunks * chunk - shape.tokens(), 0);
        long[] to = new long[3 + sizes.length];
        to[0] = shape.batch();
        to[1] = chunks;
        to[2] = chunk;
        System.arraycopy(sizes, 0, to, 3, sizes.length);
        return whole.reshape(to);
    }

    /** (B, S, G, R, Q, P) as (B, S, G, Q, R P). */
    private Tensor groupRows(Tensor x) {
        return x.permute(0, 1, 2, 4, 3, 5).reshape(shape.batch(), chunks, shape.groups(), chunk,
                (long) shape.headsPerGroup() * shape.width());
    }

    /** L: exp(rate_{j+1} + ... + rate_i) in row i and column j, 0 above the diagonal and across documents; (B, S, G, R, Q, Q). */
    private Tensor decays(Tensor rate) {
        double[] later = new double[chunk * chunk];
        double[] causal = new double[chunk * chunk];
        for (int i = 0; i < chunk; i++) {
            for (int j = 0; j <= i; j++) {
                later[i * chunk + j] = i > j ? 1 : 0;
                causal[i * chunk + j] = 1;
            }
        }
        Tensor sums = rate.unsqueeze(-1).mul(floats(later, chunk, chunk)).cumulative(ReduceOp.SUM, -2, false);
        Tensor allowed = flags == null ? floats(causal, chunk, chunk) : floats(sameDocument(), shape.batch(), chunks, 1, 1, chunk, chunk);
        return sums.exp().mul(allowed);
    }

    /** The states before all chunks, (B, S, G, R P, N), and after the last, (B, H, P, N). */
    private Tensor[] states(Tensor added, Tensor chunkDecay) {
        long rows = (long) shape.headsPerGroup() * shape.width();
        Tensor h = in.initialState() != null ? in.initialState()
                : Tensor.zeros(in.x().device(), in.x().dtype(), shape.batch(), shape.heads(), shape.width(), shape.states());
        List<Tensor> before = new ArrayList<>();
        for (int s = 0; s < chunks; s++) {
            before.add(h.reshape(shape.batch(), shape.groups(), rows, shape.states()));
            Tensor decay = chunkDecay.select(1, s).reshape(shape.batch(), shape.heads(), 1, 1);
            h = h.mul(decay).add(added.select(1, s).reshape(shape.batch(), shape.heads(), shape.width(), shape.states()));
        }
        return new Tensor[] {Tensor.stack(1, before.toArray(Tensor[]::new)), h};
    }

    private Tensor floats(double[] values, long... sizes) {
        return Tensor.of(in.x().device(), values, sizes).cast(in.x().dtype());
    }

    /** 0 where a flag is set and 1 elsewhere. */
    private double[] mask(byte flag) {
        double[] m = new double[flags.length];
        for (int i = 0; i < m.length; i++) {
            m[i] = (flags[i] & flag) != 0 ? 0 : 1;
        }
        return m;
    }

    /** How many documents have begun in a row of the batch up to and with a token; the tail belongs to the last document. */
    private int document(int[] documents, int batch, int token) {
        return token < 0 ? 0 : documents[batch * shape.tokens() + Math.min(token, shape.tokens() - 1)];
    }

    private int[] documents() {
        int[] d = new int[flags.length];
        for (int i = 0; i < d.length; i++) {
            int previous = i % shape.tokens() == 0 ? 0 : d[i - 1];
            d[i] = previous + ((flags[i] & ScanInputs.RESET) != 0 ? 1 : 0);
        }
        return d;
    }

    /** 1 at tokens of a chunk up to its first reset, (B, S, Q). */
    private double[] unbroken() {
        int[] documents = documents();
        double[] m = new double[Math.multiplyExact(shape.batch() * chunks, chunk)];
        for (int i = 0; i < m.length; i++) {
            int batch = i / (chunks * chunk);
            int token = i % (chunks * chunk);
            m[i] = document(documents, batch, token) == document(documents, batch, token / chunk * chunk - 1) ? 1 : 0;
        }
        return m;
    }

    /** 1 where the token of the column is not later than that of the row and of the same document, (B, S, Q, Q). */
    private double[] sameDocument() {
        int[] documents = documents();
        double[] m = new double[Math.multiplyExact(Math.multiplyExact(shape.batch() * chunks, chunk), chunk)];
        for (int row = 0; row < shape.batch() * chunks * chunk; row++) {
            int batch = row / (chunks * chunk);
            int token = row % (chunks * chunk);
            for (int j = token / chunk * chunk; j <= token; j++) {
                boolean same = document(documents, batch, token) == document(documents, batch, j);
                m[row * chunk + j % chunk] = same ? 1 : 0;
            }
        }
        return m;
    }
}
