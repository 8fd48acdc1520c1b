package dev.sequent.ssm.s4;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The loops of the diagonal scan without the Vector API: slow, and always available. */
final class ScalarDiagonalTiles implements DiagonalTiles {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int W = 16;

    @Override
    public int width() {
        return W;
    }

    private static float at(MemorySegment source, long index) {
        return source.getAtIndex(F32, index);
    }

    private static void put(MemorySegment target, long index, double value) {
        target.setAtIndex(F32, index, (float) value);
    }

    private static void add(MemorySegment target, long index, float value) {
        target.setAtIndex(F32, index, target.getAtIndex(F32, index) + value);
    }

    @Override
    public void discretise(MemorySegment fields, int count, int from, int to, boolean bilinear) {
        for (int i = from; i < to; i++) {
            double dt = Math.exp(at(fields, STEP * count + i));
            double re = -Math.exp(at(fields, S_RE * count + i));
            put(fields, STEP * count + i, dt);
            put(fields, S_RE * count + i, re);
            coefficient(fields, count, i, dt, re, bilinear);
        }
    }

    /** As {@link #discretise} where dt and A are there already: for the vector loops where angles are too large for their reduction. */
    static void coefficients(MemorySegment fields, int count, int from, int to, boolean bilinear) {
        for (int i = from; i < to; i++) {
            coefficient(fields, count, i, at(fields, STEP * count + i), at(fields, S_RE * count + i), bilinear);
        }
    }

    private static void coefficient(MemorySegment fields, int count, int i, double dt, double re, boolean bilinear) {
        double im = at(fields, S_IM * count + i);
        if (bilinear) {
            bilinear(fields, count, i, dt, re, im);
        } else {
            zeroOrderHold(fields, count, i, dt, re, im);
        }
        outputs(fields, count, i);
    }

    private static void zeroOrderHold(MemorySegment fields, int count, int i, double dt, double re, double im) {
        double magnitude = Math.exp(dt * re);
        double ar = magnitude * Math.cos(dt * im);
        double ai = magnitude * Math.sin(dt * im);
        put(fields, A_RE * count + i, ar);
        put(fields, A_IM * count + i, ai);
        double half = Math.sin(dt * im / 2);
        double nr = Math.expm1(dt * re) * Math.cos(dt * im) - 2 * half * half; // ar - 1 without cancellation
        double norm = re * re + im * im;
        drive(fields, count, i, norm == 0 ? dt : (nr * re + ai * im) / norm, norm == 0 ? 0 : (ai * re - nr * im) / norm);
    }

    private static void bilinear(MemorySegment fields, int count, int i, double dt, double re, double im) {
        double qr = 1 - dt * re / 2;
        double qi = -dt * im / 2;
        double norm = qr * qr + qi * qi;
        double pr = 1 + dt * re / 2;
        double pi = dt * im / 2;
        put(fields, A_RE * count + i, (pr * qr + pi * qi) / norm);
        put(fields, A_IM * count + i, (pi * qr - pr * qi) / norm);
        drive(fields, count, i, dt * qr / norm, -dt * qi / norm);
    }

    private static void drive(MemorySegment fields, int count, int i, double br, double bi) {
        boolean tiny = br * br + bi * bi < (double) SMALLEST * SMALLEST;
        put(fields, B_RE * count + i, tiny ? SMALLEST : br);
        put(fields, B_IM * count + i, tiny ? 0 : bi);
    }

    private static void outputs(MemorySegment fields, int count, int i) {
        double cr = 2 * at(fields, C_RE * count + i);
        double ci = 2 * at(fields, C_IM * count + i);
        if (cr * cr + ci * ci < (double) SMALLEST * SMALLEST) {
            cr = SMALLEST;
            ci = 0;
        }
        double br = at(fields, B_RE * count + i);
        double bi = at(fields, B_IM * count + i);
        put(fields, C_RE * count + i, cr);
        put(fields, C_IM * count + i, ci);
        put(fields, W_RE * count + i, cr * br - ci * bi);
        put(fields, W_IM * count + i, cr * bi + ci * br);
    }

    @Override
    public void gather(MemorySegment source, int stride, int rows, MemorySegment target) {
        for (int t = 0; t < rows; t++) {
            MemorySegment.copy(source, (long) t * stride * Float.BYTES, target, (long) t * W * Float.BYTES, (long) W * Float.BYTES);
        }
    }

    @Override
    public void scatter(MemorySegment source, int rows, MemorySegment target, int stride) {
        for (int t = 0; t < rows; t++) {
            MemorySegment.copy(source, (long) t * W * Float.BYTES, target, (long) t * stride * Float.BYTES, (long) W * Float.BYTES);
        }
    }

    @Override
    public void scale(MemorySegment source, MemorySegment factor, int rows, MemorySegment target) {
        for (int i = 0; i < rows * W; i++) {
            put(target, i, at(source, i) * at(factor, i % W));
        }
    }

    @Override
    public void add(MemorySegment source, int rows, MemorySegment target) {
        for (int i = 0; i < rows * W; i++) {
            add(target, i, at(source, i));
        }
    }

    @Override
    public void addProducts(MemorySegment x, MemorySegment y, int rows, MemorySegment sum) {
        for (int i = 0; i < rows * W; i++) {
            add(sum, i % W, at(x, i) * at(y, i));
        }
    }

    @Override
    public void scan(MemorySegment fields, int count, int quad, MemorySegment state, MemorySegment u, MemorySegment y, int from, int to) {
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j++) {
                float share = 0;
                for (int p = quad * QUAD; p < (quad + 1) * QUAD; p++) {
                    int i = p * W + j;
                    float gr = at(state, 2 * p * W + j);
                    float gi = at(state, (2 * p + 1) * W + j);
                    float ar = at(fields, A_RE * count + i);
                    float ai = at(fields, A_IM * count + i);
                    float nr = ar * gr - ai * gi + at(u, t * W + j);
                    float ni = ar * gi + ai * gr;
                    put(state, 2 * p * W + j, nr);
                    put(state, (2 * p + 1) * W + j, ni);
                    share += at(fields, W_RE * count + i) * nr - at(fields, W_IM * count + i) * ni;
                }
                add(y, t * W + j, share);
            }
        }
    }

    @Override
    public void replay(MemorySegment fields, int count, int quad, MemorySegment state, MemorySegment u, MemorySegment dy,
            MemorySegment history, MemorySegment sums, int from, int to) {
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j++) {
                float d = at(dy, t * W + j);
                for (int p = quad * QUAD; p < (quad + 1) * QUAD; p++) {
                    int i = p * W + j;
                    int kept = (t * QUAD + p % QUAD) * 2 * W + j;
                    float gr = at(state, 2 * p * W + j);
                    float gi = at(state, (2 * p + 1) * W + j);
                    put(history, kept, gr);
                    put(history, kept + W, gi);
                    float ar = at(fields, A_RE * count + i);
                    float ai = at(fields, A_IM * count + i);
                    float nr = ar * gr - ai * gi + at(u, t * W + j);
                    float ni = ar * gi + ai * gr;
                    put(state, 2 * p * W + j, nr);
                    put(state, (2 * p + 1) * W + j, ni);
                    add(sums, SUM_W_RE * count + i, d * nr);
                    add(sums, SUM_W_IM * count + i, -d * ni);
                }
            }
        }
    }

    @Override
    public void reverse(MemorySegment fields, int count, int quad, MemorySegment carry, MemorySegment u, MemorySegment dy,
            MemorySegment history, MemorySegment sums, MemorySegment du, int from, int to) {
        for (int t = to - 1; t >= from; t--) {
            for (int j = 0; j < W; j++) {
                float share = 0;
                for (int p = quad * QUAD; p < (quad + 1) * QUAD; p++) {
                    int i = p * W + j;
                    int kept = (t * QUAD + p % QUAD) * 2 * W + j;
                    float mr = at(dy, t * W + j) + at(carry, 2 * p * W + j);
                    float mi = at(carry, (2 * p + 1) * W + j);
                    float ar = at(fields, A_RE * count + i);
                    float ai = at(fields, A_IM * count + i);
                    put(carry, 2 * p * W + j, ar * mr + ai * mi);
                    put(carry, (2 * p + 1) * W + j, ar * mi - ai * mr);
                    float gr = at(history, kept);
                    float gi = at(history, kept + W);
                    add(sums, SUM_A_RE * count + i, mr * gr + mi * gi);
                    add(sums, SUM_A_IM * count + i, mi * gr - mr * gi);
                    add(sums, SUM_B_RE * count + i, mr * at(u, t * W + j));
                    add(sums, SUM_B_IM * count + i, mi * at(u, t * W + j));
                    share += at(fields, W_RE * count + i) * mr + at(fields, W_IM * count + i) * mi;
                }
                add(du, t * W + j, share);
            }
        }
    }

    @Override
    public void parameterGradients(MemorySegment fields, int count, boolean bilinear, MemorySegment sums) {
        for (int i = 0; i < count; i++) {
            float ar = at(fields, A_RE * count + i);
            float ai = at(fields, A_IM * count + i);
            float br = at(fields, B_RE * count + i);
            float bi = at(fields, B_IM * count + i);
            float cr = at(fields, C_RE * count + i);
            float ci = at(fields, C_IM * count + i);
            float wr = at(fields, W_RE * count + i);
            float wi = at(fields, W_IM * count + i);
            float re = at(fields, S_RE * count + i);
            float im = at(fields, S_IM * count + i);
            float dt = at(fields, STEP * count + i);
            float sr = at(sums, SUM_A_RE * count + i);
            float si = at(sums, SUM_A_IM * count + i);
            float ur = at(sums, SUM_B_RE * count + i);
            float ui = at(sums, SUM_B_IM * count + i);
            float dr = at(sums, SUM_W_RE * count + i);
            float di = at(sums, SUM_W_IM * count + i);
            // by a, conj(w) sum; by b, conj(c) sum; by 2 c, conj(b) sum
            float aGradRe = wr * sr + wi * si;
            float aGradIm = wr * si - wi * sr;
            float bGradRe = cr * ur + ci * ui;
            float bGradIm = cr * ui - ci * ur;
            put(sums, GRAD_C_RE * count + i, 2 * (br * dr + bi * di));
            put(sums, GRAD_C_IM * count + i, 2 * (br * di - bi * dr));
            float zr;
            float zi;
            float spectrumRe = 0;
            float spectrumIm = 0;
            float step = 0;
            if (bilinear) {
                // with q = 1 - z / 2: b = dt / q, da/dz = 1 / q^2, db/dz = dt / (2 q^2)
                float qr = br / dt;
                float qi = bi / dt;
                float gr = aGradRe + dt / 2 * bGradRe;
                float gi = aGradIm + dt / 2 * bGradIm;
                float squareRe = qr * qr - qi * qi;
                float squareIm = 2 * qr * qi;
                zr = squareRe * gr + squareIm * gi;
                zi = squareRe * gi - squareIm * gr;
                step = bGradRe * br + bGradIm * bi;
            } else {
                // da/dz = a, db/dz = a / A, db/dA = -b / A
                float norm = Math.max(re * re + im * im, Float.MIN_NORMAL);
                float vr = (re * bGradRe - im * bGradIm) / norm; // b's gradient over conj(A)
                float vi = (re * bGradIm + im * bGradRe) / norm;
                float gr = aGradRe + vr;
                float gi = aGradIm + vi;
                zr = ar * gr + ai * gi;
                zi = ar * gi - ai * gr;
                spectrumRe = -(br * vr + bi * vi);
                spectrumIm = -(br * vi - bi * vr);
            }
            put(sums, GRAD_DECAY * count + i, (zr * dt + spectrumRe) * re);
            put(sums, GRAD_FREQUENCY * count + i, zi * dt + spectrumIm);
            put(sums, GRAD_STEP * count + i, dt * (zr * re + zi * im) + step);
        }
    }

    @Override
    public void spread(MemorySegment values, int channels, int pairs, MemorySegment target) {
        for (int e = 0; e < channels; e++) {
            for (int p = 0; p < pairs; p++) {
                put(target, e * pairs + p, at(values, e));
            }
        }
    }

    @Override
    public void parts(MemorySegment numbers, int size, MemorySegment re, MemorySegment im) {
        for (int i = 0; i < size; i++) {
            put(re, i, at(numbers, 2 * i));
            put(im, i, at(numbers, 2 * i + 1));
        }
    }

    @Override
    public void step(MemorySegment fields, int count, int size, MemorySegment u, MemorySegment stateRe, MemorySegment stateIm,
            MemorySegment shares) {
        for (int i = 0; i < size; i++) {
            float hr = at(stateRe, i);
            float hi = at(stateIm, i);
            float ar = at(fields, A_RE * count + i);
            float ai = at(fields, A_IM * count + i);
            float nr = ar * hr - ai * hi + at(fields, B_RE * count + i) * at(u, i);
            float ni = ar * hi + ai * hr + at(fields, B_IM * count + i) * at(u, i);
            put(stateRe, i, nr);
            put(stateIm, i, ni);
            put(shares, i, at(fields, C_RE * count + i) * nr - at(fields, C_IM * count + i) * ni);
        }
    }

    @Override
    public void sums(MemorySegment shares, int channels, int pairs, MemorySegment target) {
        for (int e = 0; e < channels; e++) {
            float sum = 0;
            for (int p = 0; p < pairs; p++) {
                sum += at(shares, e * pairs + p);
            }
            put(target, e, sum);
        }
    }
}
