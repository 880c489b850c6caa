from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/loaf/<kind>")
def loaf(kind):
    return jsonify(kind=kind)
