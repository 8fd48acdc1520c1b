package dev.sequent.fused.glu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sequent.op.ScalarMath;
import java.lang.foreign.MemorySegment;

/** {@link SwigluMath} in plain loops, for JVMs without the vector module. */
final class SwigluMathScalar implements SwigluMath {
    @Override
    public void forward(MemorySegment g, long gi, MemorySegment u, long ui, MemorySegment y, long yi, int n) {
        for (int i = 0; i < n; i++) {
            float gv = g.getAtIndex(JAVA_FLOAT, gi + i);
            y.setAtIndex(JAVA_FLOAT, yi + i, (float) (gv * ScalarMath.sigmoid(gv) * u.getAtIndex(JAVA_FLOAT, ui + i)));
        }
    }

    @Override
    public void backward(MemorySegment dy, long dyi, MemorySegment g, long gi, MemorySegment u, long ui, MemorySegment dg, long dgi,
            MemorySegment du, long dui, int n) {
        for (int i = 0; i < n; i++) {
            float d = dy.getAtIndex(JAVA_FLOAT, dyi + i);
            float gv = g.getAtIndex(JAVA_FLOAT, gi + i);
            float uv = u.getAtIndex(JAVA_FLOAT, ui + i);
            double sigmoid = ScalarMath.sigmoid(gv);
            dg.setAtIndex(JAVA_FLOAT, dgi + i, (float) (d * uv * sigmoid * (1 + gv * (1 - sigmoid))));
            du.setAtIndex(JAVA_FLOAT, dui + i, (float) (d * gv * sigmoid));
        }
    }
}
