package dev.sequent.ssm.s4;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The coefficients of the diagonal scan and their gradients in the Vector API.
 *
 * <p>Sines and cosines are minimax polynomials after a reduction by multiples of pi/2 in three parts, absolute error below 1e-7 for angles
 * to {@link #LARGEST_ANGLE}; ranges with larger ones are left to {@link ScalarDiagonalTiles}. Exponentials have a relative error below 1.3
 * ulp. What is not a number stays so.
 *
 * <p>Loops over whole vectors, which follow each other in small methods: together they would need more registers than there are.
 */
abstract class VectorDiagonalCoefficients implements DiagonalTiles {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder LE = ByteOrder.nativeOrder();
    private static final int L = S.length();

    /** 1.5 2^23: adding it rounds a number below 2^22 to an integer, which then stands in the lowest bits. */
    private static final float MAGIC = 12582912f;
    private static final float LOG2E = 1.44269504f;
    private static final float LN2_HIGH = 0.69140625f;
    private static final float LN2_LOW = 0.0017409306f;
    private static final float E1 = 1.0000000363447201f;
    private static final float E2 = 0.4999999207508964f;
    private static final float E3 = 0.1666642007212615f;
    private static final float E4 = 0.041668226189109016f;
    private static final float E5 = 0.008374824050592818f;
    private static final float E6 = 0.0013836835752956823f;
    private static final float LOWEST = -87.3f;
    private static final float HIGHEST = 88.3f;

    private static final float LARGEST_ANGLE = 20000;
    private static final float TWO_OVER_PI = 0.63661977f;
    private static final float HALF_PI_1 = 1.5707963705062866f;
    private static final float HALF_PI_2 = -4.371138828673793e-08f;
    private static final float HALF_PI_3 = -1.7151245100058819e-15f;
    private static final float SIN3 = -1.6666654611e-1f;
    private static final float SIN5 = 8.3321608736e-3f;
    private static final float SIN7 = -1.9515295891e-4f;
    private static final float COS4 = 4.166664568298827e-2f;
    private static final float COS6 = -1.388731625493765e-3f;
    private static final float COS8 = 2.443315711809948e-5f;

    /** |z|^2 below which (e^z - 1) / z is its series. */
    private static final float SERIES_BOUND = 1f / 16;
    /** 1 / k! for k from 8 down to 1. */
    private static final float[] SERIES = {1f / 40320, 1f / 5040, 1f / 720, 1f / 120, 1f / 24, 1f / 6, 1f / 2, 1};

    @Override
    public final void discretise(MemorySegment fields, int count, int from, int to, boolean bilinear) {
        MemorySegment f = fields.asSlice(0, (long) FIELDS * count * Float.BYTES);
        exponentials(f, STEP * count, STEP * count, from, to, 1);
        exponentials(f, S_RE * count, S_RE * count, from, to, -1);
        if (!angles(f, count, from, to)) {
            ScalarDiagonalTiles.coefficients(fields, count, from, to, bilinear);
            return;
        }
        if (bilinear) {
            bilinear(f, count, from, to);
        } else {
            exponentials(f, A_RE * count, W_RE * count, from, to, 1);
            sines(f, count, from, to);
            zeroOrderHold(f, count, from, to);
        }
        outputs(f, count, from, to);
    }

    /** factor e^x of the array that starts at {@code source}, into the one at {@code target}. */
    private static void exponentials(MemorySegment fields, int source, int target, int from, int to, float factor) {
        FloatVector magic = FloatVector.broadcast(S, MAGIC);
        FloatVector sign = FloatVector.broadcast(S, factor);
        for (int i = from; i < to; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, fields, (source + i) * 4L, LE);
            FloatVector c = v.blend(LOWEST, v.compare(VectorOperators.LT, LOWEST));
            c = c.blend(HIGHEST, c.compare(VectorOperators.GT, HIGHEST));
            FloatVector k = c.fma(FloatVector.broadcast(S, LOG2E), magic);
            FloatVector n = k.sub(magic);
            FloatVector r = n.fma(FloatVector.broadcast(S, -LN2_LOW), n.fma(FloatVector.broadcast(S, -LN2_HIGH), c));
            FloatVector p = r.fma(FloatVector.broadcast(S, E6), FloatVector.broadcast(S, E5)).fma(r, FloatVector.broadcast(S, E4))
                    .fma(r, FloatVector.broadcast(S, E3)).fma(r, FloatVector.broadcast(S, E2)).fma(r, FloatVector.broadcast(S, E1))
                    .fma(r, FloatVector.broadcast(S, 1f));
            FloatVector e = p.reinterpretAsInts().add(k.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
            e = e.blend(0f, v.compare(VectorOperators.LT, LOWEST)).mul(sign);
            // the bits of a NaN with 2^n added to its exponent may be those of a number
            e.blend(v, v.compare(VectorOperators.NE, v)).intoMemorySegment(fields, (target + i) * 4L, LE);
        }
    }

    /** z = dt A into the arrays of a. Returns whether sines of all angles can be taken here; false where one is not a number. */
    private static boolean angles(MemorySegment fields, int count, int from, int to) {
        boolean small = true;
        for (int i = from; i < to; i += L) {
            FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
            FloatVector re = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE);
            FloatVector im = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE);
            FloatVector angle = im.mul(dt);
            re.mul(dt).intoMemorySegment(fields, (A_RE * count + i) * 4L, LE);
            angle.intoMemorySegment(fields, (A_IM * count + i) * 4L, LE);
            small &= angle.abs().compare(VectorOperators.LT, LARGEST_ANGLE).allTrue();
        }
        return small;
    }

    /** sin Im(z) into the second of w's arrays, cos Im(z) into the first of b's. */
    private static void sines(MemorySegment fields, int count, int from, int to) {
        FloatVector magic = FloatVector.broadcast(S, MAGIC);
        FloatVector one = FloatVector.broadcast(S, 1f);
        for (int i = from; i < to; i += L) {
            FloatVector x = FloatVector.fromMemorySegment(S, fields, (A_IM * count + i) * 4L, LE);
            FloatVector k = x.fma(FloatVector.broadcast(S, TWO_OVER_PI), magic);
            FloatVector n = k.sub(magic);
            FloatVector r = n.fma(FloatVector.broadcast(S, -HALF_PI_1), x);
            r = n.fma(FloatVector.broadcast(S, -HALF_PI_2), r);
            r = n.fma(FloatVector.broadcast(S, -HALF_PI_3), r);
            FloatVector z = r.mul(r);
            FloatVector s = z.fma(FloatVector.broadcast(S, SIN7), FloatVector.broadcast(S, SIN5)).fma(z, FloatVector.broadcast(S, SIN3))
                    .fma(z.mul(r), r);
            FloatVector c = z.fma(FloatVector.broadcast(S, COS8), FloatVector.broadcast(S, COS6)).fma(z, FloatVector.broadcast(S, COS4))
                    .fma(z.mul(z), z.fma(FloatVector.broadcast(S, -0.5f), one));
            IntVector quarter = k.reinterpretAsInts();
            VectorMask<Float> odd = quarter.and(1).compare(VectorOperators.NE, 0).cast(S);
            IntVector sign = quarter.and(2).lanewise(VectorOperators.LSHL, 30);
            IntVector cosineSign = quarter.add(1).and(2).lanewise(VectorOperators.LSHL, 30);
            FloatVector sine = s.blend(c, odd).reinterpretAsInts().lanewise(VectorOperators.XOR, sign).reinterpretAsFloats();
            FloatVector cosine = c.blend(s, odd).reinterpretAsInts().lanewise(VectorOperators.XOR, cosineSign).reinterpretAsFloats();
            sine.intoMemorySegment(fields, (W_IM * count + i) * 4L, LE);
            cosine.intoMemorySegment(fields, (B_RE * count + i) * 4L, LE);
        }
    }

    /** a = e^z and b = (a - 1) / A, given z in a's arrays, e^Re(z) and sin Im(z) in w's, and cos Im(z) in the first of b's. */
    private static void zeroOrderHold(MemorySegment fields, int count, int from, int to) {
        for (int i = from; i < to; i += L) {
            FloatVector zr = FloatVector.fromMemorySegment(S, fields, (A_RE * count + i) * 4L, LE);
            FloatVector zi = FloatVector.fromMemorySegment(S, fields, (A_IM * count + i) * 4L, LE);
            FloatVector pr = FloatVector.broadcast(S, SERIES[0]);
            FloatVector pi = FloatVector.zero(S);
            for (int k = 1; k < SERIES.length; k++) { // (e^z - 1) / z by Horner's rule
                FloatVector next = pr.mul(zr).sub(pi.mul(zi)).add(SERIES[k]);
                pi = pr.mul(zi).add(pi.mul(zr));
                pr = next;
            }
            FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
            VectorMask<Float> small = zr.fma(zr, zi.mul(zi)).compare(VectorOperators.LT, SERIES_BOUND);
            FloatVector magnitude = FloatVector.fromMemorySegment(S, fields, (W_RE * count + i) * 4L, LE);
            FloatVector ar = magnitude.mul(FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE));
            FloatVector ai = magnitude.mul(FloatVector.fromMemorySegment(S, fields, (W_IM * count + i) * 4L, LE));
            ar.intoMemorySegment(fields, (A_RE * count + i) * 4L, LE);
            ai.intoMemorySegment(fields, (A_IM * count + i) * 4L, LE);
            FloatVector sr = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE);
            FloatVector si = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE);
            FloatVector norm = sr.fma(sr, si.mul(si));
            FloatVector nr = ar.sub(1f);
            FloatVector br = nr.mul(sr).add(ai.mul(si)).div(norm).blend(pr.mul(dt), small);
            FloatVector bi = ai.mul(sr).sub(nr.mul(si)).div(norm).blend(pi.mul(dt), small);
            VectorMask<Float> tiny = br.fma(br, bi.mul(bi)).compare(VectorOperators.LT, SMALLEST * SMALLEST);
            br.blend(SMALLEST, tiny).intoMemorySegment(fields, (B_RE * count + i) * 4L, LE);
            bi.blend(0f, tiny).intoMemorySegment(fields, (B_IM * count + i) * 4L, LE);
        }
    }

    private static void bilinear(MemorySegment fields, int count, int from, int to) {
        FloatVector one = FloatVector.broadcast(S, 1f);
        for (int i = from; i < to; i += L) {
            FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
            FloatVector zr = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE).mul(dt).mul(0.5f);
            FloatVector zi = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE).mul(dt).mul(0.5f);
            FloatVector qr = one.sub(zr);
            FloatVector norm = qr.fma(qr, zi.mul(zi));
            FloatVector pr = one.add(zr);
            // (p + i z) / (q - i z) = (p + i z) (q + i z) / norm
            pr.mul(qr).sub(zi.mul(zi)).div(norm).intoMemorySegment(fields, (A_RE * count + i) * 4L, LE);
            zi.mul(qr).add(pr.mul(zi)).div(norm).intoMemorySegment(fields, (A_IM * count + i) * 4L, LE);
            FloatVector br = dt.mul(qr).div(norm);
            FloatVector bi = dt.mul(zi).div(norm);
            VectorMask<Float> tiny = br.fma(br, bi.mul(bi)).compare(VectorOperators.LT, SMALLEST * SMALLEST);
            br.blend(SMALLEST, tiny).intoMemorySegment(fields, (B_RE * count + i) * 4L, LE);
            bi.blend(0f, tiny).intoMemorySegment(fields, (B_IM * count + i) * 4L, LE);
        }
    }

    /** 2 c, and w = 2 c b. */
    private static void outputs(MemorySegment fields, int count, int from, int to) {
        for (int i = from; i < to; i += L) {
            FloatVector cr = FloatVector.fromMemorySegment(S, fields, (C_RE * count + i) * 4L, LE).mul(2f);
            FloatVector ci = FloatVector.fromMemorySegment(S, fields, (C_IM * count + i) * 4L, LE).mul(2f);
            VectorMask<Float> tiny = cr.fma(cr, ci.mul(ci)).compare(VectorOperators.LT, SMALLEST * SMALLEST);
            cr = cr.blend(SMALLEST, tiny);
            ci = ci.blend(0f, tiny);
            cr.intoMemorySegment(fields, (C_RE * count + i) * 4L, LE);
            ci.intoMemorySegment(fields, (C_IM * count + i) * 4L, LE);
            FloatVector br = FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE);
            FloatVector bi = FloatVector.fromMemorySegment(S, fields, (B_IM * count + i) * 4L, LE);
            cr.mul(br).sub(ci.mul(bi)).intoMemorySegment(fields, (W_RE * count + i) * 4L, LE);
            cr.mul(bi).add(ci.mul(br)).intoMemorySegment(fields, (W_IM * count + i) * 4L, LE);
        }
    }

    @Override
    public final void parameterGradients(MemorySegment fields, int count, boolean bilinear, MemorySegment sums) {
        for (int i = 0; i < count; i += L) {
            outputGradients(fields, count, sums, i);
            if (bilinear) {
                bilinearGradients(fields, count, sums, i);
            } else {
                zeroOrderGradients(fields, count, sums, i);
            }
        }
    }

    /** By a, conj(w) times its sum; by b, conj(2 c) times its sum; by c, 2 conj(b) times its sum; the latter takes b's place. */
    private static void outputGradients(MemorySegment fields, int count, MemorySegment sums, int i) {
        FloatVector wr = FloatVector.fromMemorySegment(S, fields, (W_RE * count + i) * 4L, LE);
        FloatVector wi = FloatVector.fromMemorySegment(S, fields, (W_IM * count + i) * 4L, LE);
        FloatVector sr = FloatVector.fromMemorySegment(S, sums, (SUM_A_RE * count + i) * 4L, LE);
        FloatVector si = FloatVector.fromMemorySegment(S, sums, (SUM_A_IM * count + i) * 4L, LE);
        wr.mul(sr).add(wi.mul(si)).intoMemorySegment(sums, (SUM_A_RE * count + i) * 4L, LE);
        wr.mul(si).sub(wi.mul(sr)).intoMemorySegment(sums, (SUM_A_IM * count + i) * 4L, LE);
        FloatVector br = FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE);
        FloatVector bi = FloatVector.fromMemorySegment(S, fields, (B_IM * count + i) * 4L, LE);
        FloatVector dr = FloatVector.fromMemorySegment(S, sums, (SUM_W_RE * count + i) * 4L, LE);
        FloatVector di = FloatVector.fromMemorySegment(S, sums, (SUM_W_IM * count + i) * 4L, LE);
        FloatVector cr = FloatVector.fromMemorySegment(S, fields, (C_RE * count + i) * 4L, LE);
        FloatVector ci = FloatVector.fromMemorySegment(S, fields, (C_IM * count + i) * 4L, LE);
        FloatVector ur = FloatVector.fromMemorySegment(S, sums, (SUM_B_RE * count + i) * 4L, LE);
        FloatVector ui = FloatVector.fromMemorySegment(S, sums, (SUM_B_IM * count + i) * 4L, LE);
        cr.mul(ur).add(ci.mul(ui)).intoMemorySegment(sums, (SUM_W_RE * count + i) * 4L, LE);
        cr.mul(ui).sub(ci.mul(ur)).intoMemorySegment(sums, (SUM_W_IM * count + i) * 4L, LE);
        br.mul(dr).add(bi.mul(di)).mul(2f).intoMemorySegment(sums, (GRAD_C_RE * count + i) * 4L, LE);
        br.mul(di).sub(bi.mul(dr)).mul(2f).intoMemorySegment(sums, (GRAD_C_IM * count + i) * 4L, LE);
    }

    /** da/dz = a, db/dz = a / A, db/dA = -b / A. */
    private static void zeroOrderGradients(MemorySegment fields, int count, MemorySegment sums, int i) {
        FloatVector re = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE);
        FloatVector im = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE);
        FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
        FloatVector gr = FloatVector.fromMemorySegment(S, sums, (SUM_W_RE * count + i) * 4L, LE);
        FloatVector gi = FloatVector.fromMemorySegment(S, sums, (SUM_W_IM * count + i) * 4L, LE);
        FloatVector norm = re.fma(re, im.mul(im));
        norm = norm.blend(Float.MIN_NORMAL, norm.compare(VectorOperators.LT, Float.MIN_NORMAL));
        FloatVector vr = re.mul(gr).sub(im.mul(gi)).div(norm); // b's gradient over conj(A)
        FloatVector vi = re.mul(gi).add(im.mul(gr)).div(norm);
        FloatVector xr = FloatVector.fromMemorySegment(S, sums, (SUM_A_RE * count + i) * 4L, LE).add(vr);
        FloatVector xi = FloatVector.fromMemorySegment(S, sums, (SUM_A_IM * count + i) * 4L, LE).add(vi);
        FloatVector ar = FloatVector.fromMemorySegment(S, fields, (A_RE * count + i) * 4L, LE);
        FloatVector ai = FloatVector.fromMemorySegment(S, fields, (A_IM * count + i) * 4L, LE);
        FloatVector zr = ar.mul(xr).add(ai.mul(xi));
        FloatVector zi = ar.mul(xi).sub(ai.mul(xr));
        FloatVector br = FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE);
        FloatVector bi = FloatVector.fromMemorySegment(S, fields, (B_IM * count + i) * 4L, LE);
        zr.mul(dt).sub(br.mul(vr).add(bi.mul(vi))).mul(re).intoMemorySegment(sums, (GRAD_DECAY * count + i) * 4L, LE);
        zi.mul(dt).sub(br.mul(vi).sub(bi.mul(vr))).intoMemorySegment(sums, (GRAD_FREQUENCY * count + i) * 4L, LE);
        zr.mul(re).add(zi.mul(im)).mul(dt).intoMemorySegment(sums, (GRAD_STEP * count + i) * 4L, LE);
    }

    /** With q = 1 - z / 2: b = dt / q, da/dz = 1 / q^2, db/dz = dt / (2 q^2). */
    private static void bilinearGradients(MemorySegment fields, int count, MemorySegment sums, int i) {
        FloatVector re = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE);
        FloatVector im = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE);
        FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
        FloatVector gr = FloatVector.fromMemorySegment(S, sums, (SUM_W_RE * count + i) * 4L, LE);
        FloatVector gi = FloatVector.fromMemorySegment(S, sums, (SUM_W_IM * count + i) * 4L, LE);
        FloatVector br = FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE);
        FloatVector bi = FloatVector.fromMemorySegment(S, fields, (B_IM * count + i) * 4L, LE);
        FloatVector qr = br.div(dt);
        FloatVector qi = bi.div(dt);
        FloatVector half = dt.mul(0.5f);
        FloatVector xr = FloatVector.fromMemorySegment(S, sums, (SUM_A_RE * count + i) * 4L, LE).add(half.mul(gr));
        FloatVector xi = FloatVector.fromMemorySegment(S, sums, (SUM_A_IM * count + i) * 4L, LE).add(half.mul(gi));
        FloatVector squareRe = qr.mul(qr).sub(qi.mul(qi));
        FloatVector squareIm = qr.mul(qi).mul(2f);
        FloatVector zr = squareRe.mul(xr).add(squareIm.mul(xi));
        FloatVector zi = squareRe.mul(xi).sub(squareIm.mul(xr));
        zr.mul(dt).mul(re).intoMemorySegment(sums, (GRAD_DECAY * count + i) * 4L, LE);
        zi.mul(dt).intoMemorySegment(sums, (GRAD_FREQUENCY * count + i) * 4L, LE);
        zr.mul(re).add(zi.mul(im)).mul(dt).add(br.mul(gr).add(bi.mul(gi))).intoMemorySegment(sums, (GRAD_STEP * count + i) * 4L, LE);
    }

}
