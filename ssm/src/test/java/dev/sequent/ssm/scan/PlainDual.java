package dev.sequent.ssm.scan;

import dev.sequent.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** The recurrence of {@link StateSpaceDual} token by token, as it is written down: what the other forms are tested against. */
final class PlainDual {
    private PlainDual() {}

    static StateSpaceDual.Result run(StateSpaceDual.Operands in, byte[] flags) {
        DualShape s = in.shape();
        Tensor h = in.initialState() != null ? in.initialState()
                : Tensor.zeros(in.x().device(), in.x().dtype(), s.batch(), s.heads(), s.width(), s.states());
        List<Tensor> ys = new ArrayList<>();
        for (int t = 0; t < s.tokens(); t++) {
            Tensor dt = in.dt().select(1, t).reshape(s.batch(), s.heads(), 1, 1);
            Tensor x = in.x().select(1, t).unsqueeze(-1); // (B, H, P, 1)
            Tensor b = perHead(in.b().select(1, t), s); // (B, H, 1, N)
            Tensor c = perHead(in.c().select(1, t), s);
            Tensor keep = flag(in, s, flags, t, ScanInputs.RESET);
            Tensor valid = flag(in, s, flags, t, ScanInputs.SKIP);
            Tensor before = h.mul(keep);
            Tensor after = dt.mul(in.a().reshape(1, s.heads(), 1, 1)).exp().mul(before).add(dt.mul(x).mul(b));
            Tensor y = after.mul(c).sum(-1); // (B, H, P)
            y = in.skip() == null ? y : y.add(x.squeeze(-1).mul(in.skip().unsqueeze(-1)));
            ys.add(y.mul(valid.squeeze(-1)));
            h = after.mul(valid).add(before.mul(valid.neg().add(1)));
        }
        return new StateSpaceDual.Result(Tensor.stack(1, ys.toArray(Tensor[]::new)), h);
    }

    private static Tensor perHead(Tensor rows, DualShape s) {
        Tensor[] heads = new Tensor[s.heads()];
        for (int h = 0; h < heads.length; h++) {
            heads[h] = rows.select(1, h / s.headsPerGroup());
        }
        return Tensor.stack(1, heads).unsqueeze(2);
    }

    /** 0 where a flag is set and 1 elsewhere, (B, 1, 1, 1). */
    private static Tensor flag(StateSpaceDual.Operands in, DualShape s, byte[] flags, int token, byte flag) {
        double[] m = new double[s.batch()];
        for (int b = 0; b < m.length; b++) {
            m[b] = flags != null && (flags[b * s.tokens() + token] & flag) != 0 ? 0 : 1;
        }
        return Tensor.of(in.x().device(), m, s.batch(), 1, 1, 1).cast(in.x().dtype());
    }
}
