package dev.sequent.ssm.scan;

import dev.sequent.op.ScalarMath;

/** The selective scan and its gradients as plain loops in double precision, on row-major arrays: what the kernels are tested against. */
final class NaiveScan {
    final int batch;
    final int tokens;
    final int channels;
    final int states;
    /** Operands; null where absent. */
    double[] u;
    double[] delta;
    double[] a;
    double[] b;
    double[] c;
    double[] skip;
    double[] deltaBias;
    double[] z;
    double[] initialState;
    byte[] flags;
    boolean softplus;
    /** Results. */
    double[] y;
    double[] finalState;
    /** Gradients. */
    double[] du;
    double[] dDelta;
    double[] da;
    double[] db;
    double[] dc;
    double[] dSkip;
    double[] dDeltaBias;
    double[] dz;
    double[] dInitialState;

    NaiveScan(ScanShape shape) {
        batch = shape.batch();
        tokens = shape.tokens();
        channels = shape.channels();
        states = shape.states();
    }

    private boolean has(int token, byte flag) {
        return flags != null && (flags[token] & flag) != 0;
    }

    private double step(int i, int e) {
        double x = delta[i] + (deltaBias == null ? 0 : deltaBias[e]);
        return softplus ? ScalarMath.softplus(x) : x;
    }

    void forward() {
        y = new double[batch * tokens * channels];
        finalState = new double[batch * channels * states];
        for (int s = 0; s < batch; s++) {
            for (int e = 0; e < channels; e++) {
                double[] h = new double[states];
                for (int n = 0; n < states; n++) {
                    h[n] = initialState == null ? 0 : initialState[(s * channels + e) * states + n];
                }
                for (int t = s * tokens; t < (s + 1) * tokens; t++) {
                    if (has(t, ScanInputs.RESET)) {
                        h = new double[states];
                    }
                    int i = t * channels + e;
                    if (!has(t, ScanInputs.SKIP)) {
                        double d = step(i, e);
                        double sum = skip == null ? 0 : skip[e] * u[i];
                        for (int n = 0; n < states; n++) {
                            h[n] = Math.exp(d * a[e * states + n]) * h[n] + d * b[t * states + n] * u[i];
                            sum += c[t * states + n] * h[n];
                        }
                        y[i] = z == null ? sum : sum * z[i] * ScalarMath.sigmoid(z[i]);
                    }
                }
                System.arraycopy(h, 0, finalState, (s * channels + e) * states, states);
            }
        }
    }

    /** Gradients of {@code sum(dy y) + sum(dFinal finalState)}. */
    void backward(double[] dy, double[] dFinal) {
        du = new double[u.length];
        dDelta = new double[u.length];
        dz = new double[u.length];
        da = new double[a.length];
        db = new double[b.length];
        dc = new double[c.length];
        dSkip = new double[channels];
        dDeltaBias = new double[channels];
        dInitialState = new double[batch * channels * states];
        for (int s = 0; s < batch; s++) {
            for (int e = 0; e < channels; e++) {
                backward(dy, dFinal, s, e);
            }
        }
    }

    private void backward(double[] dy, double[] dFinal, int s, int e) {
        double[][] before = new double[tokens + 1][states];
        double[][] after = new double[tokens][states];
        int row = (s * channels + e) * states;
        for (int n = 0; n < states; n++) {
            before[0][n] = initialState == null ? 0 : initialState[row + n];
        }
        for (int k = 0; k < tokens; k++) {
            int t = s * tokens + k;
            if (has(t, ScanInputs.RESET)) {
                before[k] = new double[states];
            }
            for (int n = 0; n < states; n++) {
                double d = step(t * channels + e, e);
                after[k][n] = has(t, ScanInputs.SKIP) ? before[k][n]
                        : Math.exp(d * a[e * states + n]) * before[k][n] + d * b[t * states + n] * u[t * channels + e];
            }
            before[k + 1] = after[k];
        }
        double[] dh = new double[states];
        for (int n = 0; n < states; n++) {
            dh[n] = dFinal == null ? 0 : dFinal[row + n];
        }
        for (int k = tokens - 1; k >= 0; k--) {
            int t = s * tokens + k;
            if (!has(t, ScanInputs.SKIP)) {
                backward(dy, before[k], after[k], dh, t, e);
            }
            if (has(t, ScanInputs.RESET)) {
                dh = new double[states];
            }
        }
        System.arraycopy(dh, 0, dInitialState, row, states);
    }

    private void backward(double[] dy, double[] before, double[] after, double[] dh, int t, int e) {
        int i = t * channels + e;
        double x = delta[i] + (deltaBias == null ? 0 : deltaBias[e]);
        double d = step(i, e);
        double value = skip == null ? 0 : skip[e] * u[i];
        for (int n = 0; n < states; n++) {
            value += c[t * states + n] * after[n];
        }
        double g = dy[i];
        if (z != null) {
            double p = ScalarMath.sigmoid(z[i]);
            dz[i] = dy[i] * value * p * (1 + z[i] * (1 - p));
            g *= z[i] * p;
        }
        dSkip[e] += g * u[i];
        du[i] += skip == null ? 0 : g * skip[e];
        double dStep = 0;
        for (int n = 0; n < states; n++) {
            int an = e * states + n;
            int tn = t * states + n;
            dc[tn] += g * after[n];
            dh[n] += g * c[tn];
            double decay = Math.exp(d * a[an]);
            dStep += dh[n] * (before[n] * decay * a[an] + b[tn] * u[i]);
            da[an] += dh[n] * before[n] * decay * d;
            db[tn] += dh[n] * d * u[i];
            du[i] += dh[n] * d * b[tn];
            dh[n] *= decay;
        }
        dDelta[i] = dStep * (softplus ? ScalarMath.sigmoid(x) : 1);
        dDeltaBias[e] += dDelta[i];
    }
}
