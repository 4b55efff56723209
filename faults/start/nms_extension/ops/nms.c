#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Provided by the accelerator package. */
extern double acc_box_iou_v2(double a, double b, double c, double d);

static PyObject *overlap(PyObject *self, PyObject *args)
{
    double a, b, c, d;
    if (!PyArg_ParseTuple(args, "dddd", &a, &b, &c, &d))
        return NULL;
    return PyFloat_FromDouble(acc_box_iou_v2(a, b, c, d));
}

static double (*const default_kernel)(double, double, double, double) = acc_box_iou_v2;

static PyObject *has_kernel(PyObject *self, PyObject *unused)
{
    return PyBool_FromLong(default_kernel != NULL);
}

static PyMethodDef methods[] = {
    {"overlap", overlap, METH_VARARGS, "Overlap of two spans."},
    {"has_kernel", has_kernel, METH_NOARGS, "Whether a kernel is there."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_nms", NULL, -1, methods};

PyMODINIT_FUNC PyInit__nms(void)
{
    return PyModule_Create(&module);
}
