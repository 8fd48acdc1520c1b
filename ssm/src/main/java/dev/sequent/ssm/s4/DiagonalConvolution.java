package dev.sequent.ssm.s4;

import dev.sequent.mixer.SequenceInfo;
import dev.sequent.ssm.fft.LongConvolution;
import dev.sequent.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * {@link DiagonalScan} in tensor operations: a sequence as one long convolution, a single token as one step of the recurrence. Runs on
 * every backend and is what kernels are compared with.
 */
final class DiagonalConvolution {
    private final DiagonalScan.Operands operands;
    private final Complex a;
    private final Complex b;
    private final Complex c;

    private DiagonalConvolution(DiagonalScan.Operands x) {
        this.operands = x;
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
        DiagonalConvolution form = new DiagonalConvolution(x);
        Complex h = x.stateRe() == null ? null : new Complex(x.stateRe(), x.stateIm());
        if (info.flags() != null) {
            return form.documents(info, h);
        }
        return info.time() == 1 && h != null ? form.step(h) : form.convolve(form.powers(info.time()), x.u(), h);
    }

    private DiagonalScan.Result step(Complex before) {
        Tensor u = operands.u().select(1, 0); // (B, E)
        Complex h = before.mul(a).add(b.mul(u.unsqueeze(2))); // (B, E, P)
        Tensor y = c.re().mul(h.re()).sub(c.im().mul(h.im())).sum(2).add(u.mul(operands.skip())); // (B, E)
        return new DiagonalScan.Result(y.unsqueeze(1), h.re(), h.im());
    }

    /**
     * a^0, ..., a^count of shape (E, P, count + 1), by repeated doubling: log2(count) multiplications, and powers of the very a that steps
     * use.
     */
    private Complex powers(long count) {
        Complex base = a.unsqueeze(2); // (E, P, 1)
        Complex all = new Complex(Tensor.ones(base.re().device(), base.re().dtype(), base.re().shape().toArray()),
                Tensor.zeros(base.re().device(), base.re().dtype(), base.re().shape().toArray()));
        while (all.re().dim(2) <= count) {
            long have = all.re().dim(2);
            long more = Math.min(have, count + 1 - have);
            all = Complex.concat(2, all, all.slice(2, 0, more).mul(base));
            base = base.mul(base);
        }
        return all;
    }

    /** Rows without padding or document boundaries: a convolution, plus what the initial state contributes. */
    private DiagonalScan.Result convolve(Complex powers, Tensor u, Complex h) {
        long time = u.dim(1);
        Complex p = powers.slice(2, 0, time); // (E, P, T)
        Complex cb = c.mul(b).unsqueeze(1); // (E, 1, P)
        Tensor k = cb.re().matmul(p.re()).sub(cb.im().matmul(p.im())).reshape(u.dim(2), time); // (E, T)
        Tensor y = LongConvolution.apply(u, k).add(u.mul(operands.skip())); // (B, T, E)
        Complex reversed = p.flip(2);
        Tensor byChannel = u.permute(2, 1, 0); // (E, T, B)
        Complex driven = new Complex(reversed.re().matmul(byChannel), reversed.im().matmul(byChannel)).mul(b.unsqueeze(2)); // (E, P, B)
        Complex last = new Complex(driven.re().permute(2, 0, 1), driven.im().permute(2, 0, 1)); // (B, E, P)
        if (h != null) {
            Complex w = c.unsqueeze(2).mul(powers.slice(2, 1, time + 1)); // (E, P, T)
            Tensor fromState = h.re().permute(1, 0, 2).matmul(w.re()).sub(h.im().permute(1, 0, 2).matmul(w.im())); // (E, B, T)
            y = y.add(fromState.permute(1, 2, 0));
            last = last.add(h.mul(powers.select(2, time)));
        }
        return new DiagonalScan.Result(y, last.re(), last.im());
    }

    /** Rows with padding or several documents: every document is a convolution of its own. */
    private DiagonalScan.Result documents(SequenceInfo info, Complex h) {
        Tensor u = operands.u();
        Complex powers = powers(info.time());
        List<Tensor> ys = new ArrayList<>();
        List<Tensor> lastRe = new ArrayList<>();
        List<Tensor> lastIm = new ArrayList<>();
        long[] stateShape = {1, u.dim(2), a.re().dim(1)};
        for (int row = 0; row < info.batch(); row++) {
            Tensor x = u.slice(0, row, row + 1);
            Complex state = h == null ? null : h.slice(0, row, row + 1);
            List<Tensor> pieces = new ArrayList<>();
            for (int from = 0, to; from < info.time(); from = to) {
                to = endOfRun(info, row, from);
                byte flag = info.flags()[row * info.time() + from];
                if (flag == SequenceInfo.SKIP) {
                    pieces.add(Tensor.zeros(u.device(), u.dtype(), 1, to - from, u.dim(2)));
                    continue;
                }
                DiagonalScan.Result piece = convolve(powers, x.slice(1, from, to), flag == SequenceInfo.RESET ? null : state);
                pieces.add(piece.y());
                state = new Complex(piece.stateRe(), piece.stateIm());
            }
            ys.add(Tensor.concat(1, pieces.toArray(Tensor[]::new)));
            lastRe.add(state == null ? Tensor.zeros(u.device(), u.dtype(), stateShape) : state.re());
            lastIm.add(state == null ? Tensor.zeros(u.device(), u.dtype(), stateShape) : state.im());
        }
        return new DiagonalScan.Result(Tensor.concat(0, ys.toArray(Tensor[]::new)), Tensor.concat(0, lastRe.toArray(Tensor[]::new)),
                Tensor.concat(0, lastIm.toArray(Tensor[]::new)));
    }

    /** End of the run of positions from {@code from} that are all padding, or all of one document. */
    private static int endOfRun(SequenceInfo info, int b, int from) {
        int t = from + 1;
        int row = b * info.time();
        int[] documents = info.documents();
        while (t < info.time() && documents[row + t] == documents[row + from]) {
            t++;
        }
        return t;
    }
}
