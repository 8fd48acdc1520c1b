package dev.sequent.transformer.attention;

import java.lang.foreign.ValueLayout;

/** Attention and its gradients by the definition, with double loops over double numbers. */
final class NaiveAttention {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    final double[] out;
    final double[] lse;
    final double[] dq;
    final double[] dk;
    final double[] dv;
    private final AttentionCall call;
    private final AttentionSizes n;

    NaiveAttention(AttentionCall call, HeadsView dout) {
        this.call = call;
        this.n = call.sizes();
        int queries = n.batch() * n.queries() * n.heads();
        int keys = n.batch() * n.keys() * n.groups();
        out = new double[queries * n.width()];
        lse = new double[queries];
        dq = new double[queries * n.width()];
        dk = new double[keys * n.width()];
        dv = new double[keys * n.width()];
        for (int b = 0; b < n.batch(); b++) {
            for (int h = 0; h < n.heads(); h++) {
                for (int i = 0; i < n.queries(); i++) {
                    query(b, h, i, dout);
                }
            }
        }
    }

    static double at(HeadsView view, int b, int t, int h, int d) {
        return view.memory().get(FLOAT, (view.index(b, t, h) + d) * Float.BYTES);
    }

    private boolean sees(int b, int i, int j) {
        AttentionMask mask = call.mask();
        int position = i + (mask.offsets() == null ? n.keys() - n.queries() : mask.offsets()[b]);
        boolean sameDocument = mask.queryDocuments() == null
                || mask.queryDocuments()[b * n.queries() + i] >= 0
                        && mask.queryDocuments()[b * n.queries() + i] == mask.keyDocuments()[b * n.keys() + j];
        return (!mask.causal() || j <= position) && j > position - mask.window() && sameDocument;
    }

    private void query(int b, int h, int i, HeadsView dout) {
        int g = h / n.headsPerGroup();
        double[] p = new double[n.keys()];
        double sum = 0;
        for (int j = 0; j < n.keys(); j++) {
            if (sees(b, i, j)) {
                double s = 0;
                for (int d = 0; d < n.width(); d++) {
                    s += at(call.q(), b, i, h, d) * at(call.k(), b, j, g, d);
                }
                p[j] = Math.exp(s * call.scale());
                sum += p[j];
            }
        }
        lse[(b * n.heads() + h) * n.queries() + i] = Math.log(sum);
        if (sum == 0) {
            return;
        }
        int qi = ((b * n.queries() + i) * n.heads() + h) * n.width();
        double delta = 0;
        double[] dp = new double[n.keys()];
        for (int j = 0; j < n.keys(); j++) {
            p[j] /= sum;
            if (p[j] != 0) {
                int kj = ((b * n.keys() + j) * n.groups() + g) * n.width();
                for (int d = 0; d < n.width(); d++) {
                    out[qi + d] += p[j] * at(call.v(), b, j, g, d);
                    dv[kj + d] += p[j] * at(dout, b, i, h, d);
                    dp[j] += at(dout, b, i, h, d) * at(call.v(), b, j, g, d);
                }
                delta += p[j] * dp[j];
            }
        }
        for (int j = 0; j < n.keys(); j++) {
            if (p[j] != 0) {
                int kj = ((b * n.keys() + j) * n.groups() + g) * n.width();
                double ds = p[j] * (dp[j] - delta) * call.scale();
                for (int d = 0; d < n.width(); d++) {
                    dq[qi + d] += ds * at(call.k(), b, j, g, d);
                    dk[kj + d] += ds * at(call.q(), b, i, h, d);
                }
            }
        }
    }
}
