package dev.sequent.ssm.s4;

import dev.sequent.tensor.Tensor;

/** A complex tensor as two real ones of equal shape. */
record Complex(Tensor re, Tensor im) {
    Complex mul(Complex o) {
        return new Complex(re.mul(o.re).sub(im.mul(o.im)), re.mul(o.im).add(im.mul(o.re)));
    }

    Complex mul(Tensor real) {
        return new Complex(re.mul(real), im.mul(real));
    }

    Complex add(Complex o) {
        return new Complex(re.add(o.re), im.add(o.im));
    }

    Complex add(double real) {
        return new Complex(re.add(real), im);
    }

    Complex mul(double real) {
        return new Complex(re.mul(real), im.mul(real));
    }

    Complex div(Complex o) {
        Tensor norm = o.re.square().add(o.im.square());
        return new Complex(re.mul(o.re).add(im.mul(o.im)).div(norm), im.mul(o.re).sub(re.mul(o.im)).div(norm));
    }

    Complex exp() {
        Tensor magnitude = re.exp();
        return new Complex(magnitude.mul(im.cos()), magnitude.mul(im.sin()));
    }

    Complex unsqueeze(int axis) {
        return new Complex(re.unsqueeze(axis), im.unsqueeze(axis));
    }

    Complex slice(int axis, long start, long stop) {
        return new Complex(re.slice(axis, start, stop), im.slice(axis, start, stop));
    }

    Complex select(int axis, long index) {
        return new Complex(re.select(axis, index), im.select(axis, index));
    }

    Complex flip(int axis) {
        return new Complex(re.flip(axis), im.flip(axis));
    }

    static Complex concat(int axis, Complex... parts) {
        Tensor[] re = new Tensor[parts.length];
        Tensor[] im = new Tensor[parts.length];
        for (int i = 0; i < parts.length; i++) {
            re[i] = parts[i].re;
            im[i] = parts[i].im;
        }
        return new Complex(Tensor.concat(axis, re), Tensor.concat(axis, im));
    }
}
