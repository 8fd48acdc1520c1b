package dev.sequent.ssm.s4;

import dev.sequent.autograd.Split;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * {@link DiagonalScan} in tensor operations: runs on every backend, and is what kernels are compared with.
 *
 * <p>A sequence is cut into chunks of Q tokens. Within all chunks at once the outputs are a product with one Q x Q Toeplitz matrix for each
 * channel, of K_l = 2 Re(sum_p c_p b_p a_p^l); what a chunk adds to the state, and what the state before it adds to its outputs, are
 * products with matrices of powers of a. Only states are carried from chunk to chunk. Memory and work are linear in the number of tokens.
 * A single token is a step of the recurrence.
 */
final class DiagonalChunks {
    /** Q: the work within a chunk grows with it, the number of operations one after another falls. */
    static final int CHUNK = 64;

    private final Tensor skip;
    private final Complex a;
    private final Complex b;
    private final Complex c;

    private DiagonalChunks(DiagonalScan.Operands x) {
        this.skip = x.skip();
        Tensor dt = x.logStep().exp().unsqueeze(-1); // (E, 1)
        Complex spectrum = new Complex(x.logDecay().exp().neg(), x.frequency()); // (E, P)
        Complex z = spectrum.mul(dt);
        switch (x.discretisation()) {
            case ZERO_ORDER_HOLD -> {
                a = z.exp();
                b = a.add(-1).div(spectrum);
            }
            case BILINEAR -> {
                Complex denominator = z.mul(-0.5).add(1);
                a = z.mul(0.5).add(1).div(denominator);
                b = new Complex(dt.broadcastTo(spectrum.re().shape()), Tensor.zeros(dt.device(), dt.dtype())).div(denominator);
            }
            default -> throw new AssertionError();
        }
        c = new Complex(x.c().select(2, 0), x.c().select(2, 1)).mul(2); // y = Re(sum 2 c h)
    }

    static DiagonalScan.Result apply(DiagonalScan.Operands x, SequenceInfo info) {
        DiagonalChunks form = new DiagonalChunks(x);
        Complex h = x.stateRe() == null ? null : new Complex(x.stateRe(), x.stateIm());
        if (info.flags() != null) {
            return form.documents(x.u(), info, h);
        }
        return info.time() == 1 && h != null ? form.step(x.u(), h) : form.sequence(form.new Matrices(info.time()), x.u(), h);
    }

    private DiagonalScan.Result step(Tensor sequence, Complex before) {
        Tensor u = sequence.select(1, 0); // (B, E)
        Complex h = before.mul(a).add(b.mul(u.unsqueeze(2))); // (B, E, P)
        Tensor y = c.re().mul(h.re()).sub(c.im().mul(h.im())).sum(2).add(u.mul(skip)); // (B, E)
        return new DiagonalScan.Result(y.unsqueeze(1), h.re(), h.im());
    }

    /** The matrices of a chunk; those of a shorter one are parts of them. */
    private final class Matrices {
        /** Q, at most {@link #CHUNK}. */
        final int length;
        /** a^0, ..., a^Q, (E, P, Q + 1). */
        final Complex powers;
        /** Outputs by inputs, (E, Q, Q): K_{t-s} in row t and column s. */
        final Tensor toeplitz;
        /** The state after the chunk by inputs, (E, P, Q): b a^{Q-1-t}. */
        final Complex driven;
        /** Outputs by the state before the chunk, (E, P, Q): 2 c a^{t+1}. */
        final Complex seen;

        Matrices(int time) {
            length = Math.min(CHUNK, time);
            powers = powers(length);
            Complex p = powers.slice(2, 0, length);
            driven = p.flip(2).mul(b.unsqueeze(2));
            seen = powers.slice(2, 1, length + 1).mul(c.unsqueeze(2));
            Complex cb = c.mul(b).unsqueeze(1); // (E, 1, P)
            Tensor k = cb.re().matmul(p.re()).sub(cb.im().matmul(p.im())); // (E, 1, Q)
            int[] lag = new int[length * length];
            for (int t = 0; t < length; t++) {
                for (int s = 0; s < length; s++) {
                    lag[t * length + s] = s <= t ? t - s : length; // index Q reads the zero behind K
                }
            }
            toeplitz = k.squeeze(1).pad(1, 0, 1, 0).indexSelect(1, Tensor.of(k.device(), lag)).reshape(k.dim(0), length, length);
        }

        /** By repeated doubling: log2(count) multiplications, and powers of the very a that steps use. */
        private Complex powers(int count) {
            Complex base = a.unsqueeze(2); // (E, P, 1)
            long[] shape = base.re().shape().toArray();
            Complex all = new Complex(Tensor.ones(base.re().device(), base.re().dtype(), shape),
                    Tensor.zeros(base.re().device(), base.re().dtype(), shape));
            while (all.re().dim(2) <= count) {
                long have = all.re().dim(2);
                long more = Math.min(have, count + 1 - have);
                all = Complex.concat(2, all, all.slice(2, 0, more).mul(base));
                base = base.mul(base);
            }
            return all;
        }
    }

    /** A sequence without padding or document boundaries: as many whole chunks as there are, and a shorter one. */
    private DiagonalScan.Result sequence(Matrices m, Tensor u, Complex h) {
        long time = u.dim(1);
        long whole = time / m.length * m.length;
        if (whole == time || whole == 0) {
            return chunks(m, (int) Math.min(m.length, time), u, h);
        }
        Tensor[] parts = Split.apply(u, 1, whole, time - whole);
        DiagonalScan.Result first = chunks(m, m.length, parts[0], h);
        DiagonalScan.Result last = chunks(m, (int) (time - whole), parts[1], new Complex(first.stateRe(), first.stateIm()));
        return new DiagonalScan.Result(Tensor.concat(1, first.y(), last.y()), last.stateRe(), last.stateIm());
    }

    /** Chunks of q tokens each; C chunks of B sequences are C B columns of every product. */
    private DiagonalScan.Result chunks(Matrices m, int q, Tensor u, Complex h) {
        long batch = u.dim(0);
        int count = (int) (u.dim(1) / q);
        long channels = u.dim(2);
        long pairs = a.re().dim(1);
        Tensor columns = u.reshape(batch, count, q, channels).permute(3, 2, 1, 0).reshape(channels, q, count * batch); // (E, Q, C B)
        Tensor y = m.toeplitz.slice(1, 0, q).slice(2, 0, q).matmul(columns); // (E, Q, C B)
        Complex drive = m.driven.slice(2, m.length - q, m.length);
        Complex driven = new Complex(drive.re().matmul(columns).reshape(channels, pairs, count, batch),
                drive.im().matmul(columns).reshape(channels, pairs, count, batch));
        Complex before = h == null ? null : new Complex(h.re().permute(1, 2, 0), h.im().permute(1, 2, 0)); // (E, P, B)
        List<Complex> states = carry(m.powers.select(2, q).unsqueeze(2), driven, before);
        Complex last = states.removeLast();
        if (h != null || count > 1) {
            Complex starts = Complex.concat(2, states.toArray(Complex[]::new)); // (E, P, C B)
            Complex seen = m.seen.slice(2, 0, q);
            y = y.add(seen.re().matmul(starts.re(), true, false)).sub(seen.im().matmul(starts.im(), true, false));
        }
        Tensor out = y.reshape(channels, q, count, batch).permute(3, 2, 1, 0).reshape(batch, count * (long) q, channels);
        return new DiagonalScan.Result(out.add(u.mul(skip)), last.re().permute(2, 0, 1), last.im().permute(2, 0, 1));
    }

    /**
     * The states before every chunk, and behind them the one after the last.
     *
     * @param decay a^Q, (E, P, 1)
     * @param driven what every chunk adds, (E, P, C, B)
     * @param before (E, P, B), or null for zeros
     */
    private static List<Complex> carry(Complex decay, Complex driven, Complex before) {
        long[] ones = ones((int) driven.re().dim(2));
        Tensor[] re = Split.apply(driven.re(), 2, ones);
        Tensor[] im = Split.apply(driven.im(), 2, ones);
        List<Complex> states = new ArrayList<>();
        states.add(before != null ? before : new Complex(zeros(re[0]), zeros(re[0])));
        for (int i = 0; i < ones.length; i++) {
            Complex own = new Complex(re[i].squeeze(2), im[i].squeeze(2));
            states.add(i == 0 && before == null ? own : states.getLast().mul(decay).add(own));
        }
        return states;
    }

    private static long[] ones(int count) {
        long[] ones = new long[count];
        Arrays.fill(ones, 1);
        return ones;
    }

    private static Tensor zeros(Tensor driven) {
        return Tensor.zeros(driven.device(), driven.dtype(), driven.dim(0), driven.dim(1), driven.dim(3));
    }

    /** Rows with padding or several documents: every document is a sequence of its own. */
    private DiagonalScan.Result documents(Tensor u, SequenceInfo info, Complex h) {
        Matrices matrices = new Matrices(info.time());
        Tensor[] rows = Split.apply(u, 0, ones(info.batch()));
        List<DiagonalScan.Result> results = new ArrayList<>();
        for (int row = 0; row < info.batch(); row++) {
            results.add(row(matrices, rows[row], info, row, h == null ? null : h.slice(0, row, row + 1)));
        }
        return new DiagonalScan.Result(Tensor.concat(0, results.stream().map(DiagonalScan.Result::y).toArray(Tensor[]::new)),
                Tensor.concat(0, results.stream().map(DiagonalScan.Result::stateRe).toArray(Tensor[]::new)),
                Tensor.concat(0, results.stream().map(DiagonalScan.Result::stateIm).toArray(Tensor[]::new)));
    }

    private DiagonalScan.Result row(Matrices matrices, Tensor u, SequenceInfo info, int row, Complex before) {
        Complex state = before;
        long[] sizes = runs(info, row);
        Tensor[] inputs = Split.apply(u, 1, sizes);
        List<Tensor> outputs = new ArrayList<>();
        int from = 0;
        for (int i = 0; i < sizes.length; i++) {
            byte flag = info.flags()[row * info.time() + from];
            from += (int) sizes[i];
            if (flag == SequenceInfo.SKIP) {
                outputs.add(Tensor.zeros(u.device(), u.dtype(), 1, sizes[i], u.dim(2)));
                continue;
            }
            DiagonalScan.Result piece = sequence(matrices, inputs[i], flag == SequenceInfo.RESET ? null : state);
            outputs.add(piece.y());
            state = new Complex(piece.stateRe(), piece.stateIm());
        }
        if (state == null) {
            Tensor none = Tensor.zeros(u.device(), u.dtype(), 1, u.dim(2), a.re().dim(1));
            state = new Complex(none, none);
        }
        return new DiagonalScan.Result(Tensor.concat(1, outputs.toArray(Tensor[]::new)), state.re(), state.im());
    }

    /** Lengths of the runs of a row whose positions are all padding, or all of one document. */
    private static long[] runs(SequenceInfo info, int b) {
        int row = b * info.time();
        int[] documents = info.documents();
        List<Long> sizes = new ArrayList<>();
        int from = 0;
        for (int t = 1; t <= info.time(); t++) {
            if (t == info.time() || documents[row + t] != documents[row + from]) {
                sizes.add((long) (t - from));
                from = t;
            }
        }
        return sizes.stream().mapToLong(Long::longValue).toArray();
    }
}
